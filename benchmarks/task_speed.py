"""The paper's speed columns: whole passes over a test set, base against compressed, in PyTorch.

    python -m benchmarks.task_speed ade|conll2003 --data DATA
        [--model FOLDER | --bert-tokenizer FOLDER] [--sizes 1.0 0.75 0.5 0.25] [--layers 0 3]
        [--device cpu|cuda] [--batch 32] [--sorted] [--rounds 3] [--threads 2] [--limit N]
        [--multiword N]

DATA is as in ``benchmarks.task_quality``. A pass is what a user waits for: each batch is tokenized,
padded, copied to the device, run in float32 with the task's head, and its labels are copied back.
The model is the packaged all-MiniLM-L6-v2 or, with ``--bert-tokenizer``, BERT-base's shape with
random weights and the ``vocab.txt`` of that folder. No model is recovered: weights change no time.
By default all layers and half of them are kept. ``--multiword`` is how many of a size's tokens are
groups of words.

Models take turns on the same batches; seconds are medians of the rounds, and so are ratios, each
of one round, with the lowest and the highest. The shares of tokenization, copying and model are of
one more pass, which waits for the device after each. Tokens have special ones. ``--sorted`` has
texts of one length in a batch; ``--limit`` takes the first texts of the test set alone.
``benchmarks.batch_ways`` measures what else a user can do.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from transformers.utils import logging

from benchmarks.classifiers import Classifier, random_bert, untrained
from benchmarks.labelled_tasks import TASKS, Task
from benchmarks.recording import recorded
from benchmarks.recovery_quality import packaged_minilm
from worker.compression import LoadedModel, load_model
from worker.compression.models.layers import layer_count

TURN = 16
"""Batches of a turn."""
COLUMNS = (
    "model",
    "vocabulary",
    "parameters, M",
    "tokens a text",
    "seconds a pass",
    "texts a second",
    "times faster",
    "lowest to highest",
    "tokenization, %",
    "copying, %",
    "model, %",
)
Batches = Sequence[Sequence[str]]


def parse() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", type=Path, required=True)
    base = parser.add_mutually_exclusive_group()
    base.add_argument("--model", type=Path)
    base.add_argument("--bert-tokenizer", type=Path)
    parser.add_argument("--sizes", type=float, nargs="*", default=[1.0, 0.75, 0.5, 0.25])
    parser.add_argument("--layers", type=int, nargs="+", help="by default all and half")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--sorted", action="store_true", help="batches sorted by length")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--multiword", type=int, default=0)
    return parser.parse_args()


def load_base(asked: Any, scratch: Path) -> LoadedModel:
    if asked.bert_tokenizer:
        return random_bert(asked.bert_tokenizer, scratch)
    return load_model(asked.model or packaged_minilm())


def batches_of(texts: Sequence[str], size: int, *, by_length: bool) -> Batches:
    """Return texts in batches, in their order or from the shortest to the longest."""
    ordered = sorted(texts, key=len) if by_length else list(texts)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def main() -> None:
    asked = parse()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(asked.threads)
    task = Task(asked.task, asked.data, test=asked.limit)
    with tempfile.TemporaryDirectory() as scratch:
        base = load_base(asked, Path(scratch))
        layers = asked.layers or [0, layer_count(base.model) // 2]
        models = list(
            untrained(base, task, asked.sizes, layers, asked.device, multiword=asked.multiword)
        )
    batches = batches_of(task.test_texts(), asked.batch, by_length=asked.sorted)
    with torch.inference_mode():
        seconds = timed([partial(run, one) for one in models], batches, asked.rounds)
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
        for one, own in zip(models, seconds, strict=True):
            row(one, own, seconds[0], batches)


def run(one: Classifier, batches: Batches) -> int:
    """Label the texts of batches as they come; returns how many rows were labelled."""
    return sum(len(one.labels(one.batch(texts).to(one.device)).tolist()) for texts in batches)


def timed(
    runs: Sequence[Callable[[Batches], object]], batches: Batches, rounds: int
) -> list[list[float]]:
    """Return, of each run, the seconds of a pass over all batches, one figure a round.

    Runs take turns on the same few batches, the first of which is run once more before; which run
    goes first changes from turn to turn.
    """
    seconds = [[0.0] * rounds for _ in runs]
    turns = [batches[start : start + TURN] for start in range(0, len(batches), TURN)]
    for number in range(rounds):
        for turn, some in enumerate(turns):
            for offset in range(len(runs)):
                place = (offset + turn + number) % len(runs)
                runs[place](some[:1])
                began = time.perf_counter()
                runs[place](some)
                seconds[place][number] += time.perf_counter() - began
    return seconds


def shares(one: Classifier, batches: Batches) -> list[float]:
    """Return the shares, in %, of tokenization, copying (both ways) and the model in a pass."""
    spent = [0.0, 0.0, 0.0]
    run(one, batches[:1])
    for texts in batches:
        began = time.perf_counter()
        inputs = one.batch(texts)
        tokenized = time.perf_counter()
        inputs = inputs.to(one.device)
        one.synchronize()
        copied = time.perf_counter()
        labels = one.labels(inputs)
        one.synchronize()
        labelled = time.perf_counter()
        labels.tolist()
        ended = time.perf_counter()
        spent[0] += tokenized - began
        spent[1] += copied - tokenized + ended - labelled
        spent[2] += labelled - copied
    return [100 * one / sum(spent) for one in spent]


def row(one: Classifier, own: Sequence[float], base: Sequence[float], batches: Batches) -> None:
    texts = [text for some in batches for text in some]
    ratios = [before / after for before, after in zip(base, own, strict=True)]
    parameters = sum(parameter.numel() for parameter in one.model.parameters())
    cells = [
        one.name,
        str(len(one.tokenizer)),
        f"{parameters / 1e6:.1f}",
        f"{mean(map(len, one.ids(texts))):.1f}",
        f"{median(own):.3f}",
        f"{len(texts) / median(own):,.0f}",
        f"{median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
        *(f"{share:.0f}" for share in shares(one, batches)),
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    with recorded():
        main()
