"""Loss of recovered language models against their base trained on the same text as long.

    FVT_MODELS_DIR=… FVT_BENCH_DATA=… python -m benchmarks.recovery_loss [MODEL …] [--minutes 1.5]

Takes minilm-l6-mlm, gpt2-mini and t5-mini of FVT_MODELS_DIR and the contracts of FVT_BENCH_DATA:
24 are held out, the others train. Bits a character are those of ``benchmarks.transfer_loss``; fewer
are better. Base and compressed models have the same objective, seed and minutes, one after the
other on the same device.
"""

import argparse
import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from benchmarks.recording import recorded
from benchmarks.recovery_quality import on_device
from benchmarks.transfer_loss import HELD_OUT, MODELS, TRAINING, Score, all_contracts, score_of
from worker.compression import (
    LoadedModel,
    RecoveryOptions,
    load_model,
    recover,
    required_tokens,
    resolve_vocab_size,
    train_tokenizers,
    transfer_vocabulary,
)
from worker.compression.models.encoder import Encoder
from worker.compression.progress import silent

FRACTIONS = (0.5, 0.25)


@dataclass(frozen=True)
class Case:
    """A base on its device, text to train on, and its own loss on the text that is held out."""

    base: LoadedModel
    training: list[str]
    score: Score
    held_out: list[str]

    def domain_tokenizers(self, fractions: Sequence[float]) -> list[PreTrainedTokenizerBase]:
        base, texts = self.base, self.training
        sizes = [resolve_vocab_size(fraction, base.tokenizer) for fraction in fractions]
        keep = required_tokens(base.model, base.tokenizer)
        return train_tokenizers(base.tokenizer, lambda: texts, sizes, keep_tokens=keep)

    def bits(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
        loaded = on_device(LoadedModel(model, tokenizer, self.base.folder))
        return self.score(Encoder(loaded), self.held_out, silent)


def case_of(name: str, texts: list[str]) -> Case:
    base = load_model(Path(os.environ["FVT_MODELS_DIR"], name))
    base.model.float()
    on_device(base)
    score, held_out = score_of(base, texts[TRAINING : TRAINING + HELD_OUT])
    return Case(base, texts[:TRAINING] + texts[TRAINING + HELD_OUT :], score, held_out)


def rows_of(name: str, texts: list[str], minutes: float, objective: str) -> None:
    case = case_of(name, texts)
    base = case.base
    options = RecoveryOptions(preset="max", objective=objective, max_minutes=minutes)

    def trained(what: str, student: Any, tokenizer: Any) -> None:
        before = case.bits(student, tokenizer)
        done = recover(base, student, tokenizer, lambda: case.training, options)
        after, how = case.bits(done.model, tokenizer), done.summary
        cells = [name, what, f"{before:.3f}", f"{after:.3f}", how.used, how.steps]
        cells += [f"{how.seconds:.0f}", f"{how.tokens_per_second:,.0f}"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)

    trained("base", copy.deepcopy(base.model), base.tokenizer)
    for fraction, tokenizer in zip(FRACTIONS, case.domain_tokenizers(FRACTIONS), strict=True):
        student = transfer_vocabulary(base.model, base.tokenizer, tokenizer).model
        trained(str(fraction), student, tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--objective", default="auto")
    arguments = parser.parse_args()
    header = ("base", "model", "before", "after", "objective", "steps", "seconds", "tokens/s")
    print(f"| {' | '.join(header)} |\n|{' --- |' * len(header)}")
    for name in arguments.models:
        rows_of(name, all_contracts(), arguments.minutes, arguments.objective)


if __name__ == "__main__":
    with recorded():
        main()
