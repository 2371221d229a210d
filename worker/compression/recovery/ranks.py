"""The processes that train one model together, each on a GPU of its own; mostly there is one.

Each makes its share of a step's texts ready and learns from it. Gradients and losses are summed, so
all take the same step and hold the same weights, and it is the step that one process would take.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, distributed
from torch.nn import Parameter

Item = TypeVar("Item")


class Ranks:
    """One process among its peers, which ``accelerate launch`` started."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.count: int = accelerator.num_processes
        self.number: int = accelerator.process_index
        self.device: torch.device = accelerator.device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that tells and saves."""
        return self.number == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return what this process has of items that all processes hold."""
        return items[self.number :: self.count]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes of a tensor that each has."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def sum_counts(self, values: Sequence[int]) -> list[int]:
        """Return the sums over all processes of numbers that each has; a GPU waits for them."""
        if self.count == 1:
            return list(values)
        return [int(n) for n in self.sum(torch.tensor(values, device=self.device)).tolist()]

    def sum_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Give each process the sum of all gradients, of what any of them has one of."""
        if self.count == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        has = torch.tensor([p.grad is not None for p in trained], device=self.device)
        for parameter, known in zip(trained, self.sum(has.int()).tolist(), strict=True):
            if known and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for parameter in trained:
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)

    def agree(self, value: float) -> float:
        """Return the first process's value: clocks differ, and all are to decide alike."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return shared.item()
