"""Real tokens a second of recovery, and of a plain Trainer that pads to a fixed length.

    python -m benchmarks.recovery_throughput --model FOLDER --texts FILE [--steps 60]
        [--length 256] [--batch 128] [--rounds 2]

FOLDER has a masked-language-model head, FILE a document a line (``.jsonl``: the field ``text``).
Both train the same model on the same texts with the same objective, ``mlm``, in the same process,
turn by turn; the Trainer as its documentation has it, with
``DataCollatorForLanguageModeling`` and ``padding="max_length"``, in the precision that recovery
uses too (``--fp32`` leaves it at its default). Padding counts for neither. The first steps of each,
which allocate and compile, are not timed.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.recording import recorded
from worker.compression import LoadedModel, RecoveryCallbacks, RecoveryOptions, load_model, recover

SKIPPED = 5


class Timed:
    """Seconds from the end of one step to the end of the last, and the tokens between."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def step(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    def seconds_a_step(self) -> float:
        timed = self.ends[min(SKIPPED, len(self.ends) // 2) :]
        return (timed[-1] - timed[0]) / (len(timed) - 1)


def read_texts(file: Path, most: int) -> list[str]:
    lines = file.read_text("utf-8").splitlines()[:most]
    return [json.loads(line)["text"] for line in lines] if file.suffix == ".jsonl" else lines


def ours(model: Path, texts: list[str], arguments: Any) -> float:
    """Return real tokens a second of recovery."""
    base, timed = load_model(model), Timed()

    def progress(_: float, message: str) -> None:
        if "loss" in message:
            timed.step()

    options = RecoveryOptions(
        objective="mlm",
        max_steps=arguments.steps,
        batch_size=arguments.batch,
        max_length=arguments.length,
        learning_rate=TrainingArguments.learning_rate,
    )
    student = load_model(model).model
    done = recover(
        base, student, base.tokenizer, lambda: texts, options, 0, RecoveryCallbacks(progress)
    )
    return done.summary.tokens / done.summary.steps / timed.seconds_a_step()


class StepTimes(TrainerCallback):
    def __init__(self, timed: Timed) -> None:
        self._timed = timed

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._timed.step()


def plain(model: Path, texts: list[str], arguments: Any) -> float:
    """Return real tokens a second of the Trainer."""
    loaded, timed = load_model(model), Timed()
    rows = encoded(loaded, texts, arguments.length)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            max_steps=arguments.steps,
            per_device_train_batch_size=arguments.batch,
            bf16=torch.cuda.is_available() and not arguments.fp32,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        Trainer(
            model=loaded.model.float(),
            args=settings,
            train_dataset=rows,
            data_collator=DataCollatorForLanguageModeling(loaded.tokenizer),
            callbacks=[StepTimes(timed)],
        ).train()
    real = sum(sum(row["attention_mask"]) for row in rows) / len(rows)
    return float(real * arguments.batch / timed.seconds_a_step())


def encoded(loaded: LoadedModel, texts: list[str], length: int) -> Any:
    found = loaded.tokenizer(texts, truncation=True, padding="max_length", max_length=length)
    names = ("input_ids", "attention_mask")
    return [
        dict(zip(names, row, strict=True)) for row in zip(*(found[n] for n in names), strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    for name, default in (("steps", 60), ("length", 256), ("batch", 128), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--most", type=int, default=20_000, help="texts read")
    parser.add_argument("--fp32", action="store_true")
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts, arguments.most)
    print("| round | Trainer, tokens/s | recovery, tokens/s | ratio |\n| --- | --- | --- | --- |")
    for number in range(arguments.rounds):
        before = plain(arguments.model, texts, arguments)
        after = ours(arguments.model, texts, arguments)
        print(f"| {number} | {before:,.0f} | {after:,.0f} | {after / before:.2f} |", flush=True)


if __name__ == "__main__":
    with recorded():
        main()
