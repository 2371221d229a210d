"""Texts of like length together: padding is computed and thrown away."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.compression.recovery.objectives.words import Ints


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
