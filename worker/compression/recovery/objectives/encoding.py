"""Encode texts with a tokenizer, and pad rows of ids to tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Encoding
from torch import Tensor

Ints = NDArray[np.int64]


def token_ids(encoding: Encoding) -> Ints:
    """Return the ids of an encoding (tokens,)."""
    return np.array(encoding.ids, dtype=np.int64)


def pad_to_array(rows: Sequence[Ints], pad: int) -> Ints:
    """Return rows of ids as one array (rows, longest row), padded at the right."""
    lengths = np.array([len(row) for row in rows])
    array = np.full((len(rows), lengths.max()), pad, dtype=np.int64)
    array[_is_in_row(lengths)] = np.concatenate(rows)
    return array


def pad_to_tensor(rows: Sequence[Ints], pad: int, device: torch.device) -> Tensor:
    """Return rows of ids as one tensor (rows, longest row), padded at the right."""
    return to_device(pad_to_array(rows, pad), device)


def attention_mask(rows: Sequence[Ints], device: torch.device) -> Tensor:
    """Return the mask (rows, longest row) of ``pad_to_tensor``: 1 where there is a token."""
    lengths = np.array([len(row) for row in rows])
    return to_device(_is_in_row(lengths).astype(np.int64), device)


def to_device(array: Ints, device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; the copy to a GPU does not block."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _is_in_row(lengths: Ints) -> NDArray[np.bool_]:
    """Return (rows, longest row), true at the positions that a row of that length fills."""
    positions = np.arange(lengths.max())
    is_in_row: NDArray[np.bool_] = positions[None, :] < lengths[:, None]
    return is_in_row
