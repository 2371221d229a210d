"""A step of training, and the loss of texts kept from it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel

from worker.compression.recovery.distributed.processes import Processes
from worker.compression.recovery.optimizer import make_optimizer, set_rate, vocabulary_ids
from worker.compression.recovery.texts.batches import by_length, micro_batches
from worker.compression.recovery.texts.rounds import Batch

_MAX_NORM = 1.0
_POSITIONS = {"cpu": 2_048, "cuda": 32_768}
"""Positions, padding included, that are computed at once."""


@dataclass
class Learner:
    """A model in training and its optimizer; the first steps train the vocabulary alone."""

    model: PreTrainedModel
    accelerator: Accelerator
    rate: float
    embedding_steps: int
    dropout: bool
    seed: int
    optimizer: torch.optim.Optimizer = field(init=False)
    processes: Processes = field(init=False)
    positions: int = field(init=False)

    def __post_init__(self) -> None:
        self.model.to(self.accelerator.device)
        self.optimizer = make_optimizer(self.model, self.rate)
        self.processes = Processes(self.accelerator)
        self.positions = _POSITIONS.get(self.accelerator.device.type, _POSITIONS["cpu"])
        self._vocabulary = vocabulary_ids(self.model)
        self._parameters = list(self.model.parameters())

    def learn(
        self, step: int, factor: float, batches: Sequence[Batch], alive: Callable[[], None]
    ) -> float:
        """Take a step at a share of the full rate; returns its loss.

        NaN where that or the gradient is not finite: the weights then stay as they were. The
        gradients of micro-batches add up to those of the whole; ``alive`` is called after each.
        """
        self._begin(step, factor)
        losses = []
        for batch in batches:
            for loss in self._losses(batch):
                self.accelerator.backward(loss)
                losses.append(loss.detach())
                alive()
        self.processes.sum_gradients(self._parameters)
        norm = self.accelerator.clip_grad_norm_(self._parameters, _MAX_NORM)
        # One look at the GPU a step: each makes it wait.
        total = self._total(losses)
        loss, length = torch.stack([total, norm.to(total)]).tolist()
        if not math.isfinite(loss + length):
            return math.nan
        self.optimizer.step()
        return float(loss)

    @torch.no_grad()
    def loss_of(self, batches: Sequence[Batch]) -> float | None:
        """Return the loss of texts as they are, or None without any."""
        self.model.train(mode=False)
        found = [loss for batch in batches for loss in self._losses(batch)]
        return float(self._total(found)) if any(batch.tokens for batch in batches) else None

    def _begin(self, step: int, factor: float) -> None:
        set_rate(self.optimizer, factor * self.rate)
        everything = step >= self.embedding_steps
        for parameter in self._parameters:
            parameter.requires_grad_(everything or id(parameter) in self._vocabulary)
        if self.model.training != self.dropout:
            self.model.train(self.dropout)
        torch.manual_seed((self.seed * 1_000_003 + step) * 1_009 + self.processes.number)
        self.optimizer.zero_grad(set_to_none=True)

    def _losses(self, batch: Batch) -> Iterator[Tensor]:
        """Yield this process's shares of a batch's loss, one a micro-batch."""
        for part in micro_batches(by_length(batch.examples), self.positions):
            with self.accelerator.autocast():
                yield batch.objective.loss(self.model, part, batch.units)

    def _total(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the sum over all processes; some may have nothing to learn from."""
        zero = torch.zeros((), device=self.accelerator.device)
        return self.processes.sum(torch.stack([zero, *losses]).sum())
