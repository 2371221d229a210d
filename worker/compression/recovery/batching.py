"""The batches of all steps in order, the next ones made ready by a thread meanwhile."""

import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from worker.compression.recovery.data import TextSampler
from worker.compression.recovery.objectives.word_alignment import Ints
from worker.compression.recovery.ranks import Ranks

_TEXTS, _STEPS = 2048, 64
"""Made ready at once, about."""


class Objective(Protocol):
    """A loss: what it makes of texts, and what it is of them."""

    name: str

    def examples(self, texts: Sequence[str], start: int) -> list[Any]:
        """Make texts ready; None for one with nothing to learn. ``start`` numbers the first."""
        ...

    def units(self, examples: Sequence[Any]) -> tuple[int, ...]:
        """Return what the loss of a step is a mean over."""
        ...

    def loss(self, student: PreTrainedModel, examples: Sequence[Any], units: Any) -> Tensor:
        """Return the share of a step's loss that some of its examples have."""
        ...


@dataclass(frozen=True)
class Batch:
    """What one objective has to learn in a step: the examples that are this process's share.

    ``units`` are what the step's loss is a mean over, ``tokens`` what the student reads.
    """

    objective: Objective
    examples: list[Any]
    units: tuple[int, ...]
    tokens: int


class BatchLoader:
    """Gives the batches of a step, whatever step it starts with.

    A round of steps has one draw after the other, sorted by length and cut into batches, which come
    in random order: padding is computed and thrown away. Each process makes its share of every
    batch ready.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        sampler: TextSampler,
        batch_size: int,
        steps: int,
        ranks: Ranks,
    ) -> None:
        self._objectives = objectives
        self._drawer = sampler
        self._batch_size = batch_size
        self._total = steps
        self._ranks = ranks
        self._steps = max(1, min(_STEPS, _TEXTS // batch_size))

    def steps_from(self, step: int) -> Iterator[list[Batch]]:
        """Yield the batches of ``step`` and of those that follow."""
        number, first = divmod(step, self._steps)
        with ThreadPoolExecutor(1, "recovery-texts") as pool:
            coming = pool.submit(self._round, number)
            while own := coming.result():
                number += 1
                coming = pool.submit(self._round, number)
                # Not in the thread: processes meet in the same order everywhere.
                batches = _counted(own, self._ranks)
                width = len(self._objectives)
                for at in range(first * width, len(batches), width):
                    yield batches[at : at + width]
                first = 0

    def _round(self, number: int) -> list[Batch]:
        """Return the batches of the steps of a round, step by step; none after the last."""
        first, size = number * self._steps, self._batch_size
        count = min(self._steps, self._total - first) * size
        if count <= 0:
            return []
        texts = self._drawer.texts(first * size, count)
        order = sorted(range(count), key=lambda place: len(texts[place]))
        steps = [self._ranks.share(order[at : at + size]) for at in range(0, count, size)]
        random.Random(f"{self._drawer.seed} round {number}").shuffle(steps)  # noqa: S311
        own = [texts[place] for places in steps for place in places]
        start = first * size + self._ranks.number
        made = [(o, iter(o.examples(own, start) if own else [])) for o in self._objectives]
        return [_batch(o, islice(found, len(places))) for places in steps for o, found in made]


def batches_of(objectives: Sequence[Objective], texts: Sequence[str], ranks: Ranks) -> list[Batch]:
    """Return the batch of each objective for the same texts."""
    own = ranks.share(texts)
    batches = [_batch(o, o.examples(own, ranks.number) if own else []) for o in objectives]
    return _counted(batches, ranks)


def _batch(objective: Objective, examples: Iterable[Any]) -> Batch:
    """Return a batch with the counts of this process."""
    known = [example for example in examples if example is not None]
    tokens = sum(example.tokens for example in known)
    return Batch(objective, known, objective.units(known), tokens)


def _counted(batches: Sequence[Batch], ranks: Ranks) -> list[Batch]:
    """Return batches with the counts of all processes."""
    counts = iter(ranks.sum_counts([n for b in batches for n in (b.tokens, *b.units)]))
    return [
        replace(batch, tokens=next(counts), units=tuple(islice(counts, len(batch.units))))
        for batch in batches
    ]


class Example(Protocol):
    """A text made ready for an objective."""

    @property
    def length(self) -> int:
        """How many positions it takes in a batch."""
        ...

    @property
    def tokens(self) -> int:
        """How many tokens of it the student reads."""
        ...


AnyExample = TypeVar("AnyExample", bound=Example)


def by_length(examples: Sequence[AnyExample]) -> list[AnyExample]:
    """Return the examples, longest first."""
    return sorted(examples, key=lambda example: -example.length)


def micro_batches(examples: Sequence[AnyExample], positions: int) -> Iterator[list[AnyExample]]:
    """Yield examples that come longest first in batches of at most so many positions.

    A batch takes its number of texts times the length of its longest; a single text may be longer.
    """
    batch: list[AnyExample] = []
    for example in examples:
        if batch and (len(batch) + 1) * batch[0].length > positions:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch


def padded(rows: Sequence[Ints], value: int, device: torch.device) -> Tensor:
    """Return rows as one tensor (rows, longest), filled up with a value at the right."""
    return moved(filled(rows, value), device)


def filled(rows: Sequence[Ints], value: int) -> Ints:
    """Return rows as one array (rows, longest), filled up with a value at the right."""
    lengths = np.array([len(row) for row in rows])
    table = np.full((len(rows), lengths.max()), value, dtype=np.int64)
    table[_covered(lengths)] = np.concatenate(rows)
    return table


def mask_of(rows: Sequence[Ints], device: torch.device) -> Tensor:
    """Return the attention mask of ``padded``."""
    return moved(_covered(np.array([len(row) for row in rows])).astype(np.int64), device)


def _covered(lengths: Ints) -> NDArray[np.bool_]:
    covered: NDArray[np.bool_] = np.arange(lengths.max())[None, :] < lengths[:, None]
    return covered


def moved(array: Ints, device: torch.device) -> Tensor:
    """Return an array as a tensor on a device, which a GPU copies while others go on."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
