"""The training loop: one objective or several, until the steps or the time run out."""

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import PreTrainedModel

from app.contract.report import LossPoint
from worker.compression.models.vocabulary_tensors import vocabulary_tensors
from worker.compression.progress import Progress
from worker.compression.recovery.batching import Batch, BatchLoader, by_length, micro_batches
from worker.compression.recovery.budget import Plan, learning_rate_factor
from worker.compression.recovery.ranks import Ranks

_WEIGHT_DECAY = 0.01


def make_optimizer(model: PreTrainedModel, rate: float) -> torch.optim.AdamW:
    """Return AdamW; neither vectors, such as biases and norms, nor embeddings decay."""
    found, parameters = vocabulary_ids(model), list(model.parameters())
    matrices = [p for p in parameters if p.dim() > 1 and id(p) not in found]
    rest = [p for p in parameters if p.dim() <= 1 or id(p) in found]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": _WEIGHT_DECAY},
        {"params": rest},
    ]
    fused = parameters[0].device.type == "cuda"
    return torch.optim.AdamW(groups, lr=rate, weight_decay=0.0, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def vocabulary_ids(model: PreTrainedModel) -> set[int]:
    """Return the identities of the tensors with one entry a token."""
    found = vocabulary_tensors(model)
    return {id(t) for t in (*found.input_tables, *found.output_tables, *found.biases)}


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
    ranks: Ranks = field(init=False)
    positions: int = field(init=False)

    def __post_init__(self) -> None:
        self.model.to(self.accelerator.device)
        self.optimizer = make_optimizer(self.model, self.rate)
        self.ranks = Ranks(self.accelerator)
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
        self.ranks.sum_gradients(self._parameters)
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
        torch.manual_seed((self.seed * 1_000_003 + step) * 1_009 + self.ranks.number)
        self.optimizer.zero_grad(set_to_none=True)

    def _losses(self, batch: Batch) -> Iterator[Tensor]:
        """Yield this process's shares of a batch's loss, one a micro-batch."""
        for part in micro_batches(by_length(batch.examples), self.positions):
            with self.accelerator.autocast():
                yield batch.objective.loss(self.model, part, batch.units)

    def _total(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the sum over all processes; some may have nothing to learn from."""
        zero = torch.zeros((), device=self.accelerator.device)
        return self.ranks.sum(torch.stack([zero, *losses]).sum())


Weights = dict[str, Tensor]


@dataclass
class Best:
    """The weights to keep: those of the least held-out loss, or the last good ones."""

    step: int
    loss: float
    weights: Weights


@dataclass
class State:
    """Steps done, seconds they took, student tokens they read, and the losses on the way."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    train_sum: float = 0.0
    train_steps: int = 0
    curve: list[LossPoint] = field(default_factory=list)


def weights_of(model: nn.Module) -> Weights:
    """Return a copy of a model's parameters, in memory of the CPU, each once."""
    return {name: p.detach().to("cpu", copy=True) for name, p in model.named_parameters()}


def put_weights(model: nn.Module, weights: Weights) -> None:
    """Give a model the parameters that ``weights_of`` returned."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def save_state(  # noqa: PLR0913, PLR0917
    file: Path, run: str, state: State, best: Best, model: nn.Module, optimizer: Any
) -> None:
    """Write all of a recovery into a file, which appears whole; ``run`` says what it belongs to."""
    content = {
        "run": run,
        "state": {**asdict(state), "curve": [point.model_dump() for point in state.curve]},
        "best": asdict(best) if best.step != state.step else None,
        "weights": weights_of(model),
        "optimizer": optimizer.state_dict(),
    }
    partial = file.with_name(file.name + ".partial")
    with partial.open("wb") as sink:
        torch.save(content, sink)
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(file)


def load_state(file: Path, run: str, model: nn.Module, optimizer: Any) -> tuple[State, Best] | None:
    """Read a state of the same run into model and optimizer; None where there is none."""
    if not file.is_file():
        return None
    content = torch.load(file, map_location="cpu", weights_only=True)
    if content["run"] != run:
        return None
    put_weights(model, content["weights"])
    optimizer.load_state_dict(content["optimizer"])
    found = content["state"]
    state = State(**{**found, "curve": [LossPoint(**point) for point in found["curve"]]})
    kept = content["best"] or {"step": state.step, "loss": _last_loss(state), "weights": None}
    weights = kept["weights"] or copy.deepcopy(content["weights"])
    return state, Best(kept["step"], kept["loss"], weights)


def _last_loss(state: State) -> float:
    losses = [point.held_out for point in state.curve if point.held_out is not None]
    return losses[-1] if losses else float("inf")


@dataclass(frozen=True)
class Checkpoint:
    """Where a recovery keeps how far it is, how often, and who is told.

    ``run`` says what the file belongs to: another run's is not read.
    """

    file: Path
    run: str
    every_seconds: float = 60.0
    saved: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Course:
    """What a loop is to do; ``held_out`` may be empty."""

    rounds: BatchLoader
    held_out: Sequence[Batch]
    plan: Plan
    progress: Progress
    on_point: Callable[[LossPoint], None] = lambda _: None
    checkpoint: Checkpoint | None = None


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
        self.model, self._agree = self.learner.model, self.learner.ranks.agree
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
        point = LossPoint(
            step=state.step, train=state.train_sum / state.train_steps, held_out=known
        )
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
        if keep is None or not self.learner.ranks.is_first:
            return
        if now - self._saved < keep.every_seconds:
            return
        self.state.seconds = now - self._began
        save_state(keep.file, keep.run, self.state, self.best, self.model, self.learner.optimizer)
        keep.saved()
        self._saved = time.monotonic()
