"""The training loop: one objective or several, until the steps or the time run out."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.compression.recovery.course import Course
from worker.compression.recovery.learner import Learner
from worker.compression.recovery.outcome import LossPoint
from worker.compression.recovery.schedule import learning_rate_factor
from worker.compression.recovery.state import (
    Best,
    State,
    load_state,
    put_weights,
    save_state,
    weights_of,
)
from worker.compression.recovery.texts.rounds import Batch

_POINTS = 10
"""Held-out losses of a run, about."""
_PATIENCE, _WORSE = 4, 1.1
"""Held-out losses without a new least one, the last so much above it, that end a second half."""


@dataclass
class Loop:
    """Trains a model in place; ``run`` leaves it with the weights to keep."""

    learner: Learner
    course: Course
    state: State = field(default_factory=State)
    stopped_by: str = "steps"

    def __post_init__(self) -> None:
        self.model, self._agree = self.learner.model, self.learner.processes.agree
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

    def _begin(self) -> None:
        keep, found = self.course.checkpoint, None
        if keep:
            found = load_state(keep.file, keep.run, self.model, self.learner.optimizer)
        if found:
            self.state, self.best = found
        else:
            loss = self.learner.loss_of(self.course.held_out)
            self.best = Best(0, loss or math.inf, weights_of(self.model))
        self._began, self._saved = time.monotonic() - self.state.seconds, time.monotonic()

    def _is_over(self) -> bool:
        self.state.seconds = self._agree(time.monotonic() - self._began)
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
        state = self.state
        factor = learning_rate_factor(state.step, self._planned)
        loss = self.learner.learn(state.step, factor, batches, self._tell)
        if not math.isfinite(loss):
            self.stopped_by = "non_finite_loss"
            return
        state.step += 1
        state.tokens += sum(batch.tokens for batch in batches)
        state.train_sum, state.train_steps = state.train_sum + loss, state.train_steps + 1
        self._tell(f", loss {loss:.4f}{self._left()}")
        if state.step % max(1, self.course.plan.steps // _POINTS) == 0:
            self._look()
        self._keep()

    def _look(self, final: bool = False) -> None:
        """Note the losses; keep the best weights, stop where they are not the newest for long."""
        state = self.state
        if not state.train_steps:
            return  # nothing was learnt since the last look
        held_out = self.learner.loss_of(self.course.held_out)
        known = held_out if held_out is not None and math.isfinite(held_out) else None
        point = LossPoint(state.step, state.train_sum / state.train_steps, known)
        state.train_sum, state.train_steps = 0.0, 0
        state.curve.append(point)
        self.course.on_point(point)
        if held_out is None or held_out <= self.best.loss:
            loss = math.inf if held_out is None else held_out
            self.best = Best(state.step, loss, weights_of(self.model))
        elif not final and self._is_stale(held_out):
            self.stopped_by = "held_out_loss"

    def _is_stale(self, held_out: float) -> bool:
        since = sum(point.step > self.best.step for point in self.state.curve)
        # While the rate is high the loss may stand still, or rise above where it was at first.
        if held_out <= _WORSE * self.best.loss:
            return False
        return since >= _PATIENCE and self.state.step > self._planned / 2

    def _tell(self, more: str = "") -> None:
        """Say how far it is; the caller may stop it by raising."""
        done, planned = self.state.step, max(1, self._planned)
        self.course.progress(min(1.0, done / planned), f"step {done:,} of {planned:,}{more}")

    def _left(self) -> str:
        state, curve = self.state, self.state.curve
        left = (time.monotonic() - self._began) / state.step * max(0, self._planned - state.step)
        held_out = f", held out {curve[-1].held_out:.4f}" if curve and curve[-1].held_out else ""
        return f"{held_out}, {left:.0f} s left"

    def _keep(self) -> None:
        keep, now = self.course.checkpoint, time.monotonic()
        if keep is None or not self.learner.processes.is_first:
            return
        if now - self._saved < keep.every_seconds:
            return
        self.state.seconds = now - self._began
        save_state(keep.file, keep.run, self.state, self.best, self.model, self.learner.optimizer)
        keep.saved()
        self._saved = time.monotonic()
