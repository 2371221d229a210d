"""Fine-tuned quality of base and compressed models: F1 on ADE or CoNLL-2003, one protocol for all.

    python -m benchmarks.task_quality ade|conll2003 --data DATA [--model FOLDER]
        [--sizes 1.0 0.75 0.5 0.25] [--layers 0 3] [--seeds 0 1 2] [--epochs 4] [--rate 1e-4]
        [--steps N | --minutes M] [--preset balanced] [--runtimes onnx-int8 onnx-int4]
        [--base-f1 F1] [--limit N] [--multiword N]
        [--general FILE] [--general-share 0.25]

DATA has a folder of the task's name with ``train.jsonl`` and ``test.jsonl``. Tokenizer, transfer
and recovery see the training sentences without their labels; then every model is fine-tuned on
them with the same steps and seeds. ADE is macro-F1, CoNLL-2003 the F1 of whole entities, in points
of 100. A size of 1.0 is a tokenizer as large as the base's, trained on these sentences; ``--layers
0`` keeps all. ``--multiword`` is how many of the tokens are groups of words. A model is recovered
once and fine-tuned once a seed; ``--steps`` and ``--minutes`` are of the recovery. ``--general`` is
a file with a passage a line, a share of the texts that a recovery learns from.

MB of PyTorch are those of the compressed model, as a job returns it, and their change is against
the base's. ``--runtimes`` exports each fine-tuned model, the base too, and scores the files, whose
MB have the head as well. With int4 among them the last steps of recovery train in four bits, and
so does the last fifth of a size's fine-tuning, as in a job; the base's does not. All changes are
against the base in PyTorch.

A cell can be a process of its own: ``--base-f1`` is the base's F1 by an earlier run of the same
task, seeds, epochs and rate (``--sizes`` without a size runs the base alone), and the rows say that
it was given. ``--limit`` takes the first rows of train and test, to try the command. On a GPU where
there is one; files always on the CPU, with as many threads as PyTorch has (``OMP_NUM_THREADS``).
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from app.contract.budgets import FOUR_BIT_SHARE
from benchmarks.exported_quality import EXPORTED
from benchmarks.labelled_tasks import METRIC, TASKS, Task
from benchmarks.recording import recorded
from benchmarks.recovery_quality import on_device, packaged_minilm, transferred
from worker.compression import (
    LoadedModel,
    RecoveryOptions,
    load_model,
    measure_size,
    recover,
    save_model,
)
from worker.compression.evaluation.tasks.exported import score_files
from worker.compression.evaluation.tasks.fine_tuning import FineTuningConfig
from worker.compression.evaluation.tasks.scores import summary
from worker.compression.models.layers import layer_count
from worker.compression.progress import silent

COLUMNS = (
    "model",
    "runtime",
    "tokens",
    "MB",
    "size change, %",
    "F1",
    "F1 change, points",
    "spread",
    "each seed",
    "the base's F1",
)
TORCH = "PyTorch"


def parse() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sizes", type=float, nargs="*", default=[1.0, 0.75, 0.5, 0.25])
    parser.add_argument("--layers", type=int, nargs="+", default=[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--preset", choices=["fast", "balanced", "max"], default="balanced")
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--steps", type=int, help="of recovery, in place of the preset's")
    time.add_argument("--minutes", type=float, help="of recovery, in place of the preset's")
    parser.add_argument("--runtimes", nargs="*", choices=EXPORTED, default=[])
    parser.add_argument("--base-f1", type=float, help="in points, in place of fine-tuning the base")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--multiword", type=int, default=0)
    parser.add_argument("--general", type=Path)
    parser.add_argument("--general-share", type=float, default=0.25)
    return parser.parse_args()


def main() -> None:
    asked = parse()
    base = on_device(load_model(asked.model or packaged_minilm()))
    bench = Bench(asked, base, Task(asked.task, asked.data, asked.limit, asked.limit))
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    if asked.base_f1 is None:
        bench.score_base()
    for fraction, layers in product(asked.sizes, asked.layers):
        bench.score_size(fraction, layers)


class Bench:
    """One base on one task."""

    def __init__(self, asked: Any, base: LoadedModel, task: Task) -> None:
        self.asked, self.base, self.task = asked, base, task
        self._protocol = FineTuningConfig(epochs=asked.epochs, learning_rate=asked.rate)
        self._base_f1: float | None = asked.base_f1
        self._base_bytes = measure_size(base).bytes
        self._layers = layer_count(base.model)

    def score_base(self) -> None:
        """Print the base's rows; the first of them is what all others are set against."""
        self._rows(f"base, {self._layers} layers", self.base, self._protocol)

    def score_size(self, fraction: float, layers: int) -> None:
        """Print the rows of a size; all layers are kept where ``layers`` is 0 or as many."""
        kept = layers or self._layers
        with tempfile.TemporaryDirectory() as folder:
            dropped = kept if kept < self._layers else None
            made = self._compressed(fraction, dropped, Path(folder))
            protocol = self._protocol.for_files(self.asked.runtimes)
            self._rows(f"{fraction}, {kept} layers", made, protocol)

    def _compressed(self, fraction: float, keep_layers: int | None, folder: Path) -> LoadedModel:
        """Return the recovered model of a size, saved as a job saves it."""
        base, asked = self.base, self.asked
        student = transferred(base, self.task.texts, fraction, folder, asked.multiword)
        options = RecoveryOptions(
            preset=asked.preset,
            max_steps=asked.steps,
            max_minutes=asked.minutes,
            keep_layers=keep_layers,
            four_bit_share=FOUR_BIT_SHARE if "onnx-int4" in asked.runtimes else 0.0,
            general_share=asked.general_share if asked.general else 0.0,
        )
        done = recover(
            base,
            student.model,
            student.tokenizer,
            self.task.texts,
            options,
            general=self._general if asked.general else None,
        )
        save_model(folder, done.model, student.tokenizer, base.folder)
        return on_device(load_model(folder))

    def _general(self) -> list[str]:
        return self.asked.general.read_text("utf-8").splitlines()  # type: ignore[no-any-return]

    def _rows(self, name: str, loaded: LoadedModel, protocol: FineTuningConfig) -> None:
        """Fine-tune a model once a seed, and print a row of it and of each file."""
        found, metric = defaultdict[str, list[float]](list), METRIC[self.task.name]
        sizes = {TORCH: measure_size(loaded).bytes}
        for seed in self.asked.seeds:
            tuned = self.task.fine_tuned(loaded, seed, protocol)
            found[TORCH].append(100 * tuned.score(tuned.logits, silent)[metric])
            if not self.asked.runtimes:
                continue
            with tempfile.TemporaryDirectory() as folder:
                files = score_files(tuned, self.asked.runtimes, Path(folder))
            for runtime, scored in files.items():
                found[runtime].append(100 * scored.figures[metric])
                sizes[runtime] = scored.bytes
        self._print(name, len(loaded.tokenizer), sizes, found)

    def _print(
        self,
        name: str,
        tokens: int,
        sizes: Mapping[str, int],
        found: Mapping[str, list[float]],
    ) -> None:
        for runtime, values in found.items():
            scores = summary(values)
            if self._base_f1 is None:
                self._base_f1 = scores.mean
            change = 100 * (sizes[runtime] / self._base_bytes - 1)
            given = "of this run" if self.asked.base_f1 is None else "given"
            cells = [
                name,
                runtime,
                str(tokens),
                f"{sizes[runtime] / 1e6:.1f}",
                f"{change:+.1f}",
                f"{scores.mean:.2f}",
                f"{scores.mean - self._base_f1:+.2f}",
                f"{scores.spread:.2f}",
                " ".join(f"{value:.2f}" for value in values),
                f"{self._base_f1:.2f}, {given}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    with recorded():
        main()
