"""Fine-tuned quality of base and compressed models: F1 on ADE or CoNLL-2003, one protocol for all.

    python -m benchmarks.task_quality ade|conll2003 --data DATA [--model FOLDER]
        [--sizes 0.5 0.25 0.1] [--seeds 0 1 2] [--epochs 4] [--rate 1e-4]
        [--minutes M]

DATA has a folder of the task's name with ``train.jsonl`` and ``test.jsonl``. Tokenizer, transfer
and recovery see the training sentences without their labels; then every model is fine-tuned on
them with the same steps and seeds. ADE is macro-F1, CoNLL-2003 the F1 of whole entities.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.contract.report import Scores
from benchmarks.recording import recorded
from benchmarks.recovery_quality import on_device, packaged_minilm
from worker.compression import (
    LoadedModel,
    RecoveryOptions,
    load_model,
    recover,
    required_tokens,
    resolve_vocab_size,
    save_model,
    train_tokenizer,
    transfer_vocabulary,
)
from worker.compression.evaluation.tasks.fine_tuning import FineTuningConfig
from worker.compression.evaluation.tasks.scores import summary
from worker.compression.evaluation.tasks.sequence_classification import classification_scores
from worker.compression.evaluation.tasks.token_classification import tagging_scores

Rows = list[dict[str, Any]]


class Task:
    """Labelled sentences, and what a model makes of them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.train, self.test = (self._read(folder / f"{part}.jsonl") for part in ("train", "test"))

    def _read(self, file: Path) -> Rows:
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    def texts(self) -> list[str]:
        return [row["text"] if "text" in row else " ".join(row["tokens"]) for row in self.train]

    def score(self, loaded: LoadedModel, seed: int, protocol: FineTuningConfig) -> float:
        if self.name == "ade":
            train, test = (
                [(row["text"], str(row["label"])) for row in rows]
                for rows in (self.train, self.test)
            )
            scores = classification_scores(loaded, train, test, seed=seed, protocol=protocol)
            return scores["macro_f1"]
        tagged, others = (
            [(row["tokens"], row["tags"]) for row in rows] for rows in (self.train, self.test)
        )
        scores = tagging_scores(loaded, tagged, others, seed=seed, protocol=protocol)
        return scores["entity_f1"]


def compressed(
    base: LoadedModel, task: Task, fraction: float, options: RecoveryOptions, folder: Path
) -> LoadedModel:
    """Return the recovered model of a size, saved as a job saves it."""
    size, keep = resolve_vocab_size(fraction, base.tokenizer), required_tokens
    tokenizer = train_tokenizer(
        base.tokenizer, task.texts, size, keep_tokens=keep(base.model, base.tokenizer)
    )
    student = transfer_vocabulary(base.model, base.tokenizer, tokenizer).model
    done = recover(base, student, tokenizer, task.texts, options)
    save_model(folder, done.model, tokenizer, base.folder)
    return on_device(load_model(folder))


def row(
    name: str, loaded: LoadedModel, measure: Callable[[LoadedModel, int], float], seeds: Any
) -> None:
    found: Scores = summary([100 * measure(loaded, seed) for seed in seeds])
    each = " ".join(f"{value:.2f}" for value in found.values)
    cells = [name, len(loaded.tokenizer), f"{found.mean:.2f}", f"{found.spread:.2f}", each]
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["ade", "conll2003"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.5, 0.25, 0.1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--minutes", type=float, help="of recovery, in place of the preset's")
    arguments = parser.parse_args()
    options = RecoveryOptions(max_minutes=arguments.minutes)
    task = Task(arguments.task, arguments.data / arguments.task)
    protocol = FineTuningConfig(epochs=arguments.epochs, learning_rate=arguments.rate)
    base = on_device(load_model(arguments.model or packaged_minilm()))

    def measure(loaded: LoadedModel, seed: int) -> float:
        return task.score(loaded, seed, protocol)

    print(
        "| model | tokens | F1 | spread | each seed |\n| --- | --- | --- | --- | --- |", flush=True
    )
    row("base", base, measure, arguments.seeds)
    for fraction in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            made = compressed(base, task, fraction, options, Path(folder))
            row(str(fraction), made, measure, arguments.seeds)


if __name__ == "__main__":
    with recorded():
        main()
