"""Join the processes that train one model together, each on a GPU of its own; mostly one.

Each rank makes its share of a step's texts ready and learns from it. Gradients and losses are
summed, so all take the same step and hold the same weights: the step that one process would take.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, distributed
from torch.nn import Parameter

Item = TypeVar("Item")


class Ranks:
    """Stand for this process among its peers: ``rank`` of ``world_size``, on ``device``."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.world_size: int = accelerator.num_processes
        self.rank: int = accelerator.process_index
        self.device: torch.device = accelerator.device

    @property
    def is_main(self) -> bool:
        """Tell whether this is the process that reports and saves."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this rank's share of items that all ranks hold."""
        return items[self.rank :: self.world_size]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks of a tensor that each has."""
        if self.world_size > 1:
            distributed.all_reduce(values)
        return values

    def sum_counts(self, counts: Sequence[int]) -> list[int]:
        """Return the sums over all ranks of numbers that each has; a GPU waits for them."""
        if self.world_size == 1:
            return list(counts)
        return [int(n) for n in self.sum(torch.tensor(counts, device=self.device)).tolist()]

    def sum_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Sum the gradients of each parameter over all ranks, where any rank has one."""
        if self.world_size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        has_gradient = torch.tensor([p.grad is not None for p in trained], device=self.device)
        ranks_with_gradient = self.sum(has_gradient.int()).tolist()
        for parameter, count in zip(trained, ranks_with_gradient, strict=True):
            if count and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for parameter in trained:
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)

    def agree(self, value: float) -> float:
        """Return the value of the main rank: clocks differ, and all are to decide alike."""
        if self.world_size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return shared.item()
