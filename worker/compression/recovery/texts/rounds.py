"""The batches of all steps in order, the next ones made ready by a thread meanwhile."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from transformers import PreTrainedModel

from worker.compression.recovery.texts.draws import Drawer

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
    """What one objective has to learn in a step."""

    objective: Objective
    examples: list[Any]


class Rounds:
    """Gives the batches of a step, whatever step it starts with.

    A round of steps has one draw after the other, sorted by length and cut into batches, which come
    in random order: padding is computed and thrown away.
    """

    def __init__(
        self, objectives: Sequence[Objective], drawer: Drawer, batch_size: int, steps: int
    ) -> None:
        self._objectives = objectives
        self._drawer = drawer
        self._batch_size = batch_size
        self._total = steps
        self._steps = max(1, min(_STEPS, _TEXTS // batch_size))

    def steps_from(self, step: int) -> Iterator[list[Batch]]:
        """Yield the batches of ``step`` and of those that follow."""
        number, first = divmod(step, self._steps)
        with ThreadPoolExecutor(1, "recovery-texts") as pool:
            coming = pool.submit(self._round, number)
            while steps := coming.result():
                number += 1
                coming = pool.submit(self._round, number)
                yield from steps[first:]
                first = 0

    def _round(self, number: int) -> list[list[Batch]]:
        """Return the batches of the steps of a round; none after the last."""
        first, size = number * self._steps, self._batch_size
        count = min(self._steps, self._total - first) * size
        if count <= 0:
            return []
        texts = self._drawer.texts(first * size, count)
        ready = [objective.examples(texts, first * size) for objective in self._objectives]
        order = sorted(range(count), key=lambda place: len(texts[place]))
        steps = [order[start : start + size] for start in range(0, count, size)]
        random.Random(f"{self._drawer.seed} round {number}").shuffle(steps)  # noqa: S311
        return [
            [
                Batch(objective, [made[place] for place in places if made[place] is not None])
                for objective, made in zip(self._objectives, ready, strict=True)
            ]
            for places in steps
        ]


def batches_of(objectives: Sequence[Objective], texts: Sequence[str]) -> list[Batch]:
    """Return the batch of each objective for the same texts."""
    made = ((objective, objective.examples(texts, 0)) for objective in objectives)
    return [Batch(objective, [e for e in found if e is not None]) for objective, found in made]
