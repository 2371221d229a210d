"""Ways to run a classifier over many texts, and the texts a second of each.

    python -m benchmarks.batch_ways --data DATA [--model FOLDER | --bert-tokenizer FOLDER]
        [--sizes 0.1] [--layers 2] [--device cuda|cpu] [--batch 32] [--large 256]
        [--rounds 5] [--threads 2] [--limit N] [--no-compile]

Of a small model on a GPU most of a pass is tokenization, launches of kernels and waiting for each
batch (`benchmarks.task_speed` has the shares). This measures what gets the time back, on the test
sentences of ADE (DATA as in `benchmarks.task_quality`), in PyTorch and float32, untrained:

- labels copied once, at the end, so that no batch waits for the one before;
- all texts tokenized in one call first, on all cores;
- tokenized by a thread, some batches ahead;
- sorted by length, also in larger batches;
- CUDA graphs, one a padded length (multiples of 8), or `torch.compile` of the same lengths.

A pass has all from texts to labels; ways take turns, and seconds are medians. What is done once,
capturing or compiling, is a column of its own. The labels of each way are compared with the first
one's. A way that a machine cannot run has a row that says why. Compiling takes seconds for each
length, on a CPU minutes for all: ``--no-compile`` leaves it out.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers.utils import logging

from benchmarks.classifiers import Classifier, untrained
from benchmarks.labelled_tasks import Task
from benchmarks.recording import recorded
from benchmarks.task_speed import load_base

AHEAD = 4
"""Batches that a thread tokenizes ahead."""
MULTIPLE = 8
"""Padded lengths are multiples of it, where each needs a graph."""
COLUMNS = ("model", "way", "texts a second", "times faster", "first pass, s", "labels as first, %")
Item = TypeVar("Item")
Way = Callable[[Sequence[str]], Tensor]
Labels = Callable[[Tensor], Tensor]


def parse() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    base = parser.add_mutually_exclusive_group()
    base.add_argument("--model", type=Path)
    base.add_argument("--bert-tokenizer", type=Path)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.1])
    parser.add_argument("--layers", type=int, nargs="+", default=[2])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--large", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


def main() -> None:
    asked = parse()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(asked.threads)
    task = Task("ade", asked.data, test=asked.limit)
    with tempfile.TemporaryDirectory() as scratch:
        base = load_base(asked, Path(scratch))
        models = list(untrained(base, task, asked.sizes, asked.layers, asked.device))
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    base_seconds = None
    for one in models:
        with torch.inference_mode():
            ways = Ways(one, asked.batch, asked.large, compiled=not asked.no_compile)
            base_seconds = rows(ways, task.test_texts(), asked.rounds, base_seconds)


class Ways:
    """The ways to run one classifier; each returns the labels (texts) on the CPU."""

    def __init__(self, one: Classifier, batch: int, large: int, *, compiled: bool) -> None:
        self.one, self.batch, self.large, self._compiled = one, batch, large, compiled

    def all(self) -> dict[str, Way]:
        """Return the ways by name, the usual one first."""
        batch, large = self.batch, self.large
        by_graph, by_compiler = Graphs(self.one), Compiled(self.one)
        ways = {
            f"batches of {batch} as given": self.as_given,
            "labels copied at the end": self.labels_at_end,
            "all tokenized first": lambda texts: self.tokenized_first(texts, batch),
            "tokenized by a thread ahead": self.thread_ahead,
            "sorted by length": lambda texts: self.by_length(texts, batch, self.one.labels),
            f"sorted, batches of {large}": lambda texts: self.by_length(
                texts, large, self.one.labels
            ),
            "sorted, CUDA graphs": lambda texts: self.by_length(texts, batch, by_graph, MULTIPLE),
            f"sorted, CUDA graphs, batches of {large}": lambda texts: self.by_length(
                texts, large, by_graph, MULTIPLE
            ),
        }
        if self._compiled:
            ways["sorted, torch.compile"] = lambda texts: self.by_length(
                texts, batch, by_compiler, MULTIPLE
            )
        return ways

    def as_given(self, texts: Sequence[str]) -> Tensor:
        one = self.one
        return torch.cat(
            [one.labels(one.batch(some).to(one.device)).cpu() for some in cut(texts, self.batch)]
        )

    def labels_at_end(self, texts: Sequence[str]) -> Tensor:
        one = self.one
        inputs = (one.batch(some) for some in cut(texts, self.batch))
        return torch.cat([one.labels(self._copied(batch)) for batch in inputs]).cpu()

    def tokenized_first(self, texts: Sequence[str], size: int) -> Tensor:
        one = self.one
        inputs = (one.padded(rows) for rows in cut(one.ids(texts), size))
        return torch.cat([one.labels(self._copied(batch)) for batch in inputs]).cpu()

    def thread_ahead(self, texts: Sequence[str]) -> Tensor:
        one, found = self.one, list[Tensor]()
        with ThreadPoolExecutor(1) as thread:
            batches = iter(cut(texts, self.batch))
            waiting = [thread.submit(one.batch, some) for some in islice(batches, AHEAD)]
            while waiting:
                inputs = waiting.pop(0).result()
                waiting += [
                    thread.submit(one.batch, some) for some in [next(batches, None)] if some
                ]
                found.append(one.labels(self._copied(inputs)))
        return torch.cat(found).cpu()

    def by_length(
        self, texts: Sequence[str], size: int, labels: Labels, multiple: int = 1
    ) -> Tensor:
        """Label all texts, tokenized in one call, from the shortest to the longest."""
        one = self.one
        ids = one.ids(texts)
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        inputs = (one.padded([ids[p] for p in some], multiple) for some in cut(order, size))
        found = torch.cat([labels(self._copied(batch)) for batch in inputs]).cpu()
        return found[torch.tensor(order).argsort()]

    def _copied(self, inputs: Tensor) -> Tensor:
        return inputs.to(self.one.device, non_blocking=True)


def cut(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class Graphs:
    """Labels batches by a CUDA graph for each of their shapes, captured when it first comes."""

    def __init__(self, one: Classifier) -> None:
        self.one = one
        self._captured: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    def __call__(self, inputs: Tensor) -> Tensor:
        if inputs.shape not in self._captured:
            self._captured[inputs.shape] = self._capture(inputs)
        graph, given, labels = self._captured[inputs.shape]
        given.copy_(inputs)
        graph.replay()
        # The next batch of the shape overwrites the graph's own.
        return labels.clone()

    def _capture(self, inputs: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        if not self.one.on_gpu:
            raise RuntimeError("CUDA graphs need a GPU")
        given = inputs.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.one.labels(given)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            labels = self.one.labels(given)
        return graph, given, labels


class Compiled:
    """Labels batches by a compiled model, once compiled for each shape."""

    def __init__(self, one: Classifier) -> None:
        self.one = one
        self._run: Any = None

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._run is None:
            # Each length is a shape of its own, and so are the last, smaller batches.
            torch._dynamo.config.recompile_limit = 64
            self._run = torch.compile(self.one.labels, mode="reduce-overhead", dynamic=False)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        found: Tensor = self._run(inputs).clone()
        return found


class Found:
    """Holds what one way gave: seconds a pass and the labels, or why it failed."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self.labels: Tensor | None = None
        self.first, self.seconds, self.failed = 0.0, list[float](), ""

    def run(self, texts: Sequence[str]) -> None:
        """Run a pass, the first of which is not among ``seconds``; a way that fails ends there."""
        if self.failed:
            return
        began = time.perf_counter()
        try:
            labels = self._way(texts)
        except Exception as error:
            said = " ".join(str(error).split()).replace("|", "/")
            self.failed = f"failed: {type(error).__name__}, {said[:120]}"
            return
        took = time.perf_counter() - began
        if self.labels is None:
            self.labels, self.first = labels, took
        else:
            self.seconds.append(took)

    def cells(self, texts: int, base: float, expected: Tensor) -> list[str]:
        if self.failed or self.labels is None:
            return [self.failed, "", "", ""]
        own = median(self.seconds)
        same = 100 * (self.labels == expected).float().mean().item()
        return [f"{texts / own:,.0f}", f"{base / own:.2f}", f"{self.first:.2f}", f"{same:.2f}"]


def rows(ways: Ways, texts: Sequence[str], rounds: int, base: float | None) -> float:
    """Print a row a way, and return the seconds that ratios are against.

    That is the first way of the first model, for which ``base`` is None. Raises RuntimeError where
    that fails.
    """
    found = {name: Found(way) for name, way in ways.all().items()}
    # The first round is the first passes.
    for _ in range(1 + rounds):
        for one in found.values():
            one.run(texts)
    usual = next(iter(found.values()))
    if usual.failed or usual.labels is None:
        raise RuntimeError(usual.failed)
    base = base or median(usual.seconds)
    for name, one in found.items():
        cells = [ways.one.name, name, *one.cells(len(texts), base, usual.labels)]
        print(f"| {' | '.join(cells)} |", flush=True)
    return base


if __name__ == "__main__":
    with recorded():
        main()
