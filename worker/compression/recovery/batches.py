"""Texts of like length together: padding is computed and thrown away."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from worker.compression.recovery.words import Ints


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


def micro_batches(examples: Sequence[AnyExample], positions: int) -> Iterator[list[AnyExample]]:
    """Yield the examples by length, longest first, in batches of at most so many positions.

    A batch takes its number of texts times the length of its longest; a single text may be longer.
    """
    batch: list[AnyExample] = []
    for example in sorted(examples, key=lambda e: -e.length):
        if batch and (len(batch) + 1) * batch[0].length > positions:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch


def padded(rows: Sequence[Ints], value: int, device: torch.device) -> Tensor:
    """Return rows as one tensor (rows, longest), filled up with a value at the right."""
    table = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return _moved(torch.from_numpy(table), device)


def mask_of(rows: Sequence[Ints], device: torch.device) -> Tensor:
    """Return the attention mask of ``padded``."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    return _moved(torch.from_numpy(mask.astype(np.int64)), device)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


Examples = Sequence[Any]
