"""The training loop: one objective or several, until the steps or the time run out."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from worker.compression.recovery.batches import micro_batches
from worker.compression.recovery.course import Course
from worker.compression.recovery.optimizer import make_optimizer, set_rates
from worker.compression.recovery.outcome import LossPoint
from worker.compression.recovery.rounds import Batch
from worker.compression.recovery.schedule import learning_rate_factor
from worker.compression.recovery.state import (
    Best,
    State,
    load_state,
    put_weights,
    save_state,
    weights_of,
)

_POINTS = 10
"""Held-out losses of a run, about."""
_PATIENCE = 4
"""Held-out losses in a row without a new least one that stop the second half of a run."""
_MAX_NORM = 1.0
_POSITIONS = {"cpu": 2_048, "cuda": 32_768}
"""Positions, padding included, that are computed at once."""


@dataclass
class Loop:
    """Trains a model in place; ``run`` leaves it with the weights to keep."""

    model: PreTrainedModel
    course: Course
    accelerator: Accelerator
    state: State = field(default_factory=State)
    stopped_by: str = "steps"

    def __post_init__(self) -> None:
        self.model.to(self.accelerator.device)
        self.optimizer = make_optimizer(self.model, self.course.rate)
        self.best = Best(0, math.inf, {})
        self._planned = self.course.plan.steps

    def run(self) -> None:
        """Train from the start or the checkpoint to the end."""
        self._begin()
        coming = self.course.rounds.steps_from(self.state.step)
        try:
            while not self._is_over():
                self._step(next(coming))
        finally:
            coming.close()  # type: ignore[attr-defined]
        self._look(final=True)
        put_weights(self.model, self.best.weights)
        self.model.train(mode=False)

    @property
    def planned(self) -> int:
        return self._planned

    def _begin(self) -> None:
        keep, found = self.course.checkpoint, None
        if keep:
            found = load_state(keep.file, keep.run, self.model, self.optimizer)
        if found:
            self.state, self.best = found
        else:
            self.best = Best(0, self._held_out_loss() or math.inf, weights_of(self.model))
        self._began, self._saved = time.monotonic() - self.state.seconds, time.monotonic()

    def _is_over(self) -> bool:
        self.state.seconds = time.monotonic() - self._began
        plan, state = self.course.plan, self.state
        self._planned = plan.steps_by(state.step, state.seconds)
        if self.stopped_by != "steps":
            return True
        if plan.out_of_time(state.seconds) or (
            state.step >= self._planned and self._planned < plan.steps
        ):
            self.stopped_by = "max_minutes"
            return True
        return state.step >= self._planned

    def _step(self, batches: Sequence[Batch]) -> None:
        loss = self._learn(batches)
        if not math.isfinite(loss):
            self.stopped_by = "non_finite_loss"
            return
        state = self.state
        state.step += 1
        state.tokens += sum(e.tokens for batch in batches for e in batch.examples)
        state.train_sum, state.train_steps = state.train_sum + loss, state.train_steps + 1
        self._report(loss)
        if state.step % max(1, self.course.plan.steps // _POINTS) == 0:
            self._look()
        self._keep()

    def _learn(self, batches: Sequence[Batch]) -> float:
        """Take one step; returns its loss, after which the weights stay as they were if it is NaN.

        The gradients of micro-batches add up to those of the whole.
        """
        step, course = self.state.step, self.course
        warming = step < course.embedding_steps
        factor = learning_rate_factor(step, self._planned)
        set_rates(self.model, self.optimizer, factor * course.rate, vocabulary_only=warming)
        if self.model.training != course.dropout:
            self.model.train(course.dropout)
        torch.manual_seed(course.seed * 1_000_003 + step)
        self.optimizer.zero_grad(set_to_none=True)
        losses = [loss for batch in batches for loss in self._backward(batch)]
        if not losses:
            return 0.0  # none of the texts had anything to learn
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), _MAX_NORM)
        # One look at the GPU a step: each makes it wait.
        total, length = torch.stack([torch.stack(losses).sum(), norm.to(losses[0])]).tolist()
        if not math.isfinite(total + length):
            return math.nan
        self.optimizer.step()
        return float(total)

    def _backward(self, batch: Batch) -> Iterator[torch.Tensor]:
        """Add up the gradients of a batch; yields the losses of its parts."""
        units = batch.objective.units(batch.examples)
        for part in micro_batches(batch.examples, self._positions):
            with self.accelerator.autocast():
                loss = batch.objective.loss(self.model, part, units)
            self.accelerator.backward(loss)
            self._report_alive()
            yield loss.detach()

    @property
    def _positions(self) -> int:
        return _POSITIONS.get(self.accelerator.device.type, _POSITIONS["cpu"])

    @torch.no_grad()
    def _held_out_loss(self) -> float | None:
        """Return the loss of the texts kept from training, or None without any."""
        self.model.train(mode=False)
        total, seen = 0.0, False
        for batch in self.course.held_out:
            units = batch.objective.units(batch.examples)
            for part in micro_batches(batch.examples, self._positions):
                with self.accelerator.autocast():
                    total += float(batch.objective.loss(self.model, part, units))
                seen = True
        return total if seen else None

    def _look(self, final: bool = False) -> None:
        """Note the losses; keep the best weights, stop where they are not the newest for long."""
        state = self.state
        if not state.train_steps:
            return  # nothing was learnt since the last look
        held_out = self._held_out_loss()
        known = held_out if held_out is not None and math.isfinite(held_out) else None
        point = LossPoint(state.step, state.train_sum / state.train_steps, known)
        state.train_sum, state.train_steps = 0.0, 0
        state.curve.append(point)
        self.course.on_point(point)
        if held_out is None or held_out <= self.best.loss:
            loss = math.inf if held_out is None else held_out
            self.best = Best(state.step, loss, weights_of(self.model))
        elif not final and self._is_stale():
            self.stopped_by = "held_out_loss"

    def _is_stale(self) -> bool:
        since = sum(point.step > self.best.step for point in self.state.curve)
        # While the rate is high the loss may rise above where it was at first.
        return since >= _PATIENCE and self.state.step > self._planned / 2

    def _report(self, loss: float) -> None:
        state, curve = self.state, self.state.curve
        spent = time.monotonic() - self._began
        left = spent / state.step * max(0, self._planned - state.step)
        held_out = f", held out {curve[-1].held_out:.4f}" if curve and curve[-1].held_out else ""
        self.course.progress(
            min(1.0, state.step / max(1, self._planned)),
            f"step {state.step:,} of {self._planned:,}, loss {loss:.4f}{held_out}, "
            f"{left:.0f} s left",
        )

    def _report_alive(self) -> None:
        """Give the caller the chance to stop amid a long step."""
        state = self.state
        self.course.progress(
            min(1.0, state.step / max(1, self._planned)),
            f"step {state.step:,} of {self._planned:,}",
        )

    def _keep(self) -> None:
        keep, now = self.course.checkpoint, time.monotonic()
        if keep is None or now - self._saved < keep.every_seconds:
            return
        self.state.seconds = now - self._began
        save_state(keep.file, keep.run, self.state, self.best, self.model, self.optimizer)
        keep.saved()
        self._saved = time.monotonic()
