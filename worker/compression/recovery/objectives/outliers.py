"""Keep a student's numbers close together where few bits are to hold them.

A file in four bits rounds what a matrix reads to eight, in equal steps up to the largest number of
all tokens. Transformers have a few numbers that are many times the others (massive activations, Sun
et al. 2024, arXiv 2402.17762), and all others are then rounded by as much more. A student that is
trained anyway learns to do without them (activation regularization, Nrusimha et al. 2024, arXiv
2404.03605). docs/decisions/0029-no-outliers.md says what it brings.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

OUTLIER_WEIGHT = 5e-4
_ALLOWED = 8.0
"""The largest number of a token that costs nothing, in root mean squares of the token's numbers."""
_LINEAR_FROM = 20.0
"""Beyond the allowed: a number that is a thousand times the others pulls no more than this one."""


class Outliers:
    """Adds up what the outliers of texts cost, (texts,), of all matrices that read the texts."""

    def __init__(self, mask: Tensor) -> None:
        self.costs = torch.zeros(len(mask), device=mask.device)
        self._mask = mask.float()
        self._last: Tensor | None = None

    def add(self, inputs: Tensor) -> None:
        """Add the mean over the tokens of what a matrix reads, (texts, positions, width)."""
        # Queries, keys and values are made of the same numbers, and so one after the other.
        if inputs is self._last or inputs.shape[:-1] != self._mask.shape:
            return
        self._last = inputs
        excess = (_largest_by_root_mean_square(inputs) - _ALLOWED).relu()
        costs = huber_loss(excess, torch.zeros_like(excess), reduction="none", delta=_LINEAR_FROM)
        self.costs = self.costs + (costs * self._mask).sum(1) / self._mask.sum(1)


def _largest_by_root_mean_square(inputs: Tensor) -> Tensor:
    """Return the largest size of the last dimension, in root mean squares, which stay as they are.

    Float32 without the last dimension.
    """
    largest = torch.maximum(inputs.amax(-1), -inputs.amin(-1)).float()
    root_mean_square = inputs.detach().float().square().mean(-1).sqrt()
    return largest / root_mean_square.clamp_min(torch.finfo(torch.float32).tiny)


@contextmanager
def watch_outliers(student: PreTrainedModel, mask: Tensor) -> Iterator[Outliers]:
    """Add up, in the block, the outliers of the texts that ``mask`` (texts, positions) is of."""
    found = Outliers(mask)

    def see(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for tensor in inputs[:1]:
            found.add(tensor)

    matrices = (one for one in student.modules() if isinstance(one, nn.Linear | Conv1D))
    handles = [matrix.register_forward_pre_hook(see) for matrix in matrices]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
