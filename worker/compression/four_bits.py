"""Round weights to four bits in blocks, as files store them and as training foresees.

A number of a row is a whole number from -7 to 7, times a whole multiplier of its block, times a
scale of its row. The product of the first two fits in eight bits, so what is stored in four is
computed with in eight, by the operators that eight bits have.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

BLOCK = 32
"""Numbers that share a multiplier."""
TABLE_MULTIPLIERS, MATRIX_MULTIPLIERS = 18, 9
"""The largest of a table and of a matrix. Seven times 18 are eight bits, seven times 9 are seven,
which is what processors without VNNI add up in 16 bits without a loss."""
FEWEST = 4096
"""Weights of fewer numbers stay as they are: they save less than what stands around them takes."""
_LARGEST = 7
_SHARES = (0.8, 0.9, 1.0)
"""Of the multiplier that cuts no number of a block. One that cuts the largest rounds the others
better: each block has the one of least squared error."""


@dataclass(frozen=True)
class Blocks:
    """Holds weights (rows, width) in four bits, each row padded to whole blocks.

    ``numbers`` are int8 (rows, blocks, `BLOCK`), ``multipliers`` uint8 (rows, blocks) and
    ``scales`` float32 (rows, 1).
    """

    width: int
    numbers: Tensor
    multipliers: Tensor
    scales: Tensor

    def weights(self) -> Tensor:
        """Return the weights that these stand for, float32 (rows, width)."""
        whole = self.numbers.float() * self.multipliers[..., None]
        return whole.flatten(1)[:, : self.width] * self.scales


def quantize_blocks(weights: Tensor, most: int) -> Blocks:
    """Return weights (rows, width) in four bits, with multipliers from 1 to ``most``."""
    rows, width = weights.shape
    blocks = -(-width // BLOCK)
    values = nn.functional.pad(weights.float(), (0, blocks * BLOCK - width))
    values = values.reshape(rows, blocks, BLOCK)
    uncut = values.abs().amax(dim=2) / _LARGEST
    scales = uncut.amax(dim=1, keepdim=True) / most
    # Of a row of zeros, or of numbers whose scale would be none.
    scales = torch.where(scales < torch.finfo(torch.float32).tiny, 1, scales)
    values = values / scales[..., None]
    uncut = uncut / scales
    best, least = torch.ones_like(uncut), torch.full_like(uncut, torch.inf)
    for share in _SHARES:
        multipliers = (share * uncut).round_().clamp_(1, most)
        steps = multipliers[..., None]
        error = (_round(values / steps) * steps - values).square_().sum(dim=2)
        better = error < least
        best, least = torch.where(better, multipliers, best), torch.where(better, error, least)
    numbers = _round(values / best[..., None])
    return Blocks(width, numbers.to(torch.int8), best.to(torch.uint8), scales)


def _round(values: Tensor) -> Tensor:
    return values.round_().clamp_(-_LARGEST, _LARGEST)


@contextmanager
def rounded_weights(model: PreTrainedModel) -> Iterator[None]:
    """Let a model compute with its tables and matrices in four bits, and give them back after.

    What is differentiated in the block are the rounded weights: an optimizer that takes its step
    after the block applies their gradients to the exact ones (a straight-through estimator, Bengio
    et al. 2013).
    """
    kept = list[tuple[Tensor, Tensor]]()
    try:
        for weight, most, is_transposed in _weights(model):
            exact = weight.data
            kept.append((weight, exact))
            by_row = quantize_blocks(exact.T if is_transposed else exact, most).weights()
            weight.data = (by_row.T.contiguous() if is_transposed else by_row).to(exact.dtype)
        yield
    finally:
        for weight, exact in kept:
            weight.data = exact


def _weights(model: PreTrainedModel) -> Iterator[tuple[Tensor, int, bool]]:
    """Yield each table and matrix once, its largest multiplier, and whether rows are its inputs.

    A table that is the matrix of a head, too, is a table.
    """
    modules, seen = list(model.modules()), set[int]()
    tables = [(m.weight, TABLE_MULTIPLIERS, False) for m in modules if isinstance(m, nn.Embedding)]
    matrices = [
        (m.weight, MATRIX_MULTIPLIERS, isinstance(m, Conv1D))
        for m in modules
        if isinstance(m, nn.Linear | Conv1D)
    ]
    for weight, most, is_transposed in [*tables, *matrices]:
        if weight.numel() >= FEWEST and id(weight) not in seen:
            seen.add(id(weight))
            yield weight, most, is_transposed
