"""Time the evaluation of a base and a compressed model, without a limit and in a job's own.

    python -m benchmarks.evaluation_time [CORPUS] [--model FOLDER] [--seconds 100] [--share 0.25]

CORPUS is a text file, a document a line; without one, 10 MB of the sources of this interpreter's
library, a file a document. Without FOLDER, the base is a decoder of two layers and 65,024 tokens
that is made here, random but with a real tokenizer of that size: what is timed and how the figures
of both ways relate does not depend on what it has learnt. Prints each figure with its interval,
long beside short, whether the short one is inside the long one's interval, and the seconds.
"""

import argparse
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from app.contract.report import Latency, Quality
from benchmarks.recording import recorded
from worker.compression import (
    LoadedModel,
    load_model,
    measure_latency,
    measure_memory,
    measure_quality,
    required_tokens,
    save_model,
    train_tokenizer,
    transfer_vocabulary,
)

VOCABULARY, BYTES, HELD_OUT = 65_024, 10_000_000, 500
Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", nargs="?", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--share", type=float, default=0.25)
    asked = parser.parse_args()
    texts = documents(asked.corpus)
    held_out, training = texts[:HELD_OUT], texts[HELD_OUT:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = load_model(asked.model or make_decoder(folder / "base", training))
        compressed = compress(base, training, asked.share, folder / "compressed")
        print(f"{len(texts):,} documents, {sum(map(len, texts)):,} characters")
        compare(base, compressed, held_out, asked.seconds)


def documents(corpus: Path | None) -> list[str]:
    """Return the documents of a file, or the library's sources."""
    if corpus:
        return [line for line in corpus.read_text("utf-8").splitlines() if line.strip()]
    return list(_sources(Path(sysconfig.get_paths()["stdlib"])))


def _sources(library: Path) -> Iterator[str]:
    total = 0
    for file in sorted(library.rglob("*.py")):
        text = file.read_text("utf-8", "replace")
        total += len(text)
        if text.strip():
            yield text
        if total > BYTES:
            return


def make_decoder(folder: Path, texts: list[str]) -> Path:
    """Leave a small Llama with a byte-level BPE of 65,024 tokens, filled up where text runs out."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    end = "<|endoftext|>"
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=end, bos_token=end)  # type: ignore[no-untyped-call]
    tokenizer.model_max_length = 1024
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def compress(base: LoadedModel, texts: list[str], share: float, folder: Path) -> LoadedModel:
    """Transfer the base to a share of its vocabulary, without recovery."""
    keep = required_tokens(base.model, base.tokenizer)
    size = round(share * len(base.tokenizer))
    domain = train_tokenizer(base.tokenizer, lambda: texts, size, keep_tokens=keep)
    made = transfer_vocabulary(base.model, base.tokenizer, domain)
    save_model(folder, made.model, domain, base.folder)
    return load_model(folder)


def compare(base: LoadedModel, compressed: LoadedModel, texts: list[str], seconds: float) -> None:
    """Measure both ways and print them side by side."""
    print("| | long | in time | inside the long interval |\n| --- | --- | --- | --- |")
    spent = [0.0, 0.0]

    def both(measure: Callable[[float | None], Result], part: float) -> tuple[Result, Result]:
        found = []
        for place, limit in enumerate((None, part * seconds)):
            began = time.monotonic()
            found.append(measure(limit))
            spent[place] += time.monotonic() - began
        return found[0], found[1]

    quality = both(lambda limit: measure_quality(base, compressed, texts, seconds=limit), 0.35)
    for long_row, row in zip(*quality, strict=True):
        print_row(row.metric, long_row, row)
    latency = both(lambda limit: measure_latency(base, compressed, texts, seconds=limit), 0.45)
    for long_time, timed in zip(*latency, strict=True):
        print_row(f"speedup of batches of {timed.batch_size}", long_time, timed)
    memory = both(
        lambda limit: measure_memory(base.folder, compressed.folder, {}, texts, seconds=limit), 0.2
    )
    for long_bytes, row_bytes in zip(*memory, strict=True):
        print(f"| MB | {long_bytes.after_bytes / 1e6:.0f} | {row_bytes.after_bytes / 1e6:.0f} | |")
    print(f"| seconds | {spent[0]:.1f} | {spent[1]:.1f} | of {seconds:.0f} |")


def print_row(name: str, long_row: Quality | Latency, row: Quality | Latency) -> None:
    """Print a figure both ways."""
    values = [one.retention if isinstance(one, Quality) else one.speedup for one in (long_row, row)]
    shown = [
        f"{value:.3f} ({one.low:.3f} to {one.high:.3f})"
        if one.low is not None and one.high is not None
        else f"{value:.3f}"
        for value, one in zip(values, (long_row, row), strict=True)
    ]
    low, high = long_row.low, long_row.high
    inside = "" if low is None or high is None else "yes" if low <= values[1] <= high else "no"
    print(f"| {name} | {' | '.join(shown)} | {inside} |")


if __name__ == "__main__":
    with recorded():
        main()
