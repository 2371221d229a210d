"""The batches of all steps in order, the next ones made ready by a thread meanwhile."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from transformers import PreTrainedModel

from worker.compression.recovery.draws import Drawer

_TEXTS = 2048
"""Made ready at once, about."""


class Objective(Protocol):
    """A loss: what it makes of texts, and what it is of them."""

    name: str

    def examples(self, texts: Sequence[str], start: int) -> list[Any]:
        """Make texts ready; ``start`` is the number of the first."""
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
    """Gives the batches of a step, whatever step it starts with."""

    def __init__(self, objectives: Sequence[Objective], drawer: Drawer, batch_size: int) -> None:
        self._objectives = objectives
        self._drawer = drawer
        self._batch_size = batch_size
        self._steps = max(1, min(64, _TEXTS // batch_size))

    def steps_from(self, step: int) -> Iterator[list[Batch]]:
        """Yield the batches of ``step`` and of those that follow, without end."""
        number, first = divmod(step, self._steps)
        with ThreadPoolExecutor(1, "recovery-texts") as pool:
            coming = pool.submit(self._round, number)
            while True:
                steps = coming.result()
                number += 1
                coming = pool.submit(self._round, number)
                yield from steps[first:]
                first = 0

    def _round(self, number: int) -> list[list[Batch]]:
        """Return the batches of the steps of a round."""
        start, size = number * self._steps * self._batch_size, self._batch_size
        texts = self._drawer.texts(start, self._steps * size)
        return [
            batches_of(self._objectives, texts[place : place + size], start + place)
            for place in range(0, len(texts), size)
        ]


def batches_of(objectives: Sequence[Objective], texts: Sequence[str], start: int) -> list[Batch]:
    """Return the batch of each objective for the same texts."""
    return [Batch(objective, objective.examples(texts, start)) for objective in objectives]
