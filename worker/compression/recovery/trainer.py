"""Train a model in place: the loop, a step, the held-out evaluation, the checkpoint."""

import copy
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import PreTrainedModel

from app.contract.report import LossPoint
from worker.compression.four_bits import rounded_weights
from worker.compression.models.vocabulary_tensors import vocabulary_tensors
from worker.compression.recovery.batching import Batch, BatchLoader, by_length, micro_batches
from worker.compression.recovery.budget import TrainingPlan
from worker.compression.recovery.options import RecoveryCallbacks, Replanned
from worker.compression.recovery.ranks import Ranks

_MAX_POSITIONS = {"cpu": 2_048, "cuda": 32_768}
"""Positions of a micro-batch, padding included."""
_MAX_GRADIENT_NORM = 1.0
_WEIGHT_DECAY = 0.01
_EVALUATIONS = 10
"""Held-out losses of a run, about."""
_PATIENCE, _TOLERANCE = 4, 1.1
"""After the middle of a run, its part (on documents, on queries, or rounded) ends where so many
held-out losses brought no new least one, and the last is so many times the least."""

_TOLD_AGAIN = 0.1
"""A plan is told of again where it has changed by this share."""

Weights = dict[str, Tensor]


@dataclass
class TrainerState:
    """Count the steps done, the seconds they took and the tokens the student read.

    ``loss_sum`` is over the ``loss_steps`` steps since the last point of the ``curve``.
    ``query_start`` is the step that queries began with, None before, and ``four_bit_start`` that
    from which weights are rounded. ``overfits`` where the held-out loss has risen too far.
    """

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    curve: list[LossPoint] = field(default_factory=list)
    query_start: int | None = None
    four_bit_start: int | None = None
    overfits: bool = False


@dataclass(frozen=True)
class QueryPhase:
    """Hold what the last steps of a training learn from, where these are queries.

    ``loader`` returns the batches of so many steps; ``held_out`` are batches of queries that are
    not trained on, and may be empty.
    """

    loader: Callable[[int], BatchLoader]
    held_out: Sequence[Batch]


@dataclass
class BestWeights:
    """Keep the weights of the least held-out loss; without held-out texts, the last finite ones.

    Queries begin with the best of the documents, and are compared among themselves. So are weights
    that are rounded to four bits for their loss.
    """

    step: int
    loss: float
    weights: Weights


class Trainer:
    """Train a model in place, from the start or a checkpoint, until the steps or the time run out.

    ``train`` leaves the model with the best weights, in evaluation mode. ``state`` and ``best``
    then say how it went, ``stopped_by`` why it ended: ``steps``, ``max_minutes``,
    ``held_out_loss`` or ``non_finite_loss``.

    Args:
        model: trained in float32, moved to the accelerator's device.
        loader: gives the batches of each step.
        held_out: batches of the held-out loss; may be empty.
        plan: the steps, the time and the learning rate.
        callbacks: follow the training; an exception raised from ``progress`` stops it at once.
        run_id: names the run that a checkpoint belongs to; another run's is not read.
        accelerator: knows the device, the precision and the other ranks.
        queries: what the plan's ``query_steps`` learn from, where there are any.

    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        model: PreTrainedModel,
        loader: BatchLoader,
        held_out: Sequence[Batch],
        plan: TrainingPlan,
        callbacks: RecoveryCallbacks,
        run_id: str,
        accelerator: Accelerator,
        queries: QueryPhase | None = None,
    ) -> None:
        self.model = model
        self.loader = loader
        self.held_out = held_out
        self.queries = queries
        self.plan = plan
        self.callbacks = callbacks
        self.run_id = run_id
        self.accelerator = accelerator
        self.ranks = Ranks(accelerator)
        model.to(accelerator.device)
        self.optimizer = make_optimizer(model, plan.learning_rate)
        device_type = accelerator.device.type
        self.max_positions = _MAX_POSITIONS.get(device_type, _MAX_POSITIONS["cpu"])
        self.state = TrainerState()
        self.best = BestWeights(0, math.inf, {})
        self.stopped_by = "steps"
        self._planned_steps = self._told_steps = plan.steps
        self._parameters = list(model.parameters())
        self._vocabulary_ids = vocabulary_parameter_ids(model)

    def train(self) -> None:
        """Train to the end."""
        if not self.load_checkpoint():
            self._compare_from_here()
        self._started_at = time.monotonic() - self.state.seconds
        self._saved_at = time.monotonic()
        steps = self._steps()
        try:
            while not self._is_over():
                if self._queries_begin():
                    steps.close()
                    self._begin_queries()
                    steps = self._steps()
                if self._four_bits_begin():
                    self._begin_four_bits()
                self._run_step(next(steps))
        finally:
            steps.close()
        self._add_point(is_final=True)
        put_weights(self.model, self.best.weights)
        self.model.train(mode=False)

    def _steps(self) -> Generator[list[Batch]]:
        """Return the batches of the next step and of those after it, of documents or queries."""
        state = self.state
        if self.queries is None or state.query_start is None:
            return self.loader.steps_from(state.step)
        loader = self.queries.loader(self.plan.steps - state.query_start)
        return loader.steps_from(state.step - state.query_start)

    def _queries_begin(self) -> bool:
        if not self._queries_are_left():
            return False
        from_step = self.plan.queries_from(self._planned_steps)
        return self.state.overfits or self.state.step >= from_step

    def _queries_are_left(self) -> bool:
        return self.queries is not None and self.state.query_start is None

    def _begin_queries(self) -> None:
        """Go on from the best weights of the documents, on queries."""
        self._add_point(is_final=True)
        put_weights(self.model, self.best.weights)
        self.state.query_start = self.state.step
        self._compare_from_here()

    def _compare_from_here(self) -> None:
        """Take the weights as they are for the best, until others have less loss."""
        self.state.overfits = False
        loss = self.evaluate()
        self.best = BestWeights(self.state.step, loss or math.inf, copy_weights(self.model))

    def _four_bits_begin(self) -> bool:
        if not self._four_bits_are_left():
            return False
        from_step = self.plan.four_bits_from(self._planned_steps)
        return self.state.overfits or self.state.step >= from_step

    def _four_bits_are_left(self) -> bool:
        return self.plan.four_bit_steps > 0 and self.state.four_bit_start is None

    def _begin_four_bits(self) -> None:
        """Go on with weights that are rounded as they are used."""
        self._add_point(is_final=True)
        if self.state.overfits:
            put_weights(self.model, self.best.weights)
        self.state.four_bit_start = self.state.step
        self._compare_from_here()

    def _weights_in_use(self) -> AbstractContextManager[None]:
        """Return the block in which the model has the weights that it computes with."""
        return nullcontext() if self.state.four_bit_start is None else rounded_weights(self.model)

    def _is_over(self) -> bool:
        """Tell whether training ends here, and plan fewer steps where time runs out."""
        state, plan = self.state, self.plan
        state.seconds = self.ranks.agree(time.monotonic() - self._started_at)
        self._planned_steps = plan.steps_by(state.step, state.seconds)
        self._tell_plan()
        # Before the end come the parts that are left, and have all of the steps that are left.
        if state.overfits and not (self._queries_are_left() or self._four_bits_are_left()):
            self.stopped_by = "held_out_loss"
        if self.stopped_by != "steps":
            return True
        all_planned = state.step >= self._planned_steps
        if plan.out_of_time(state.seconds) or (all_planned and self._planned_steps < plan.steps):
            self.stopped_by = "max_minutes"
            return True
        return all_planned

    def _tell_plan(self) -> None:
        """Tell of fewer steps than planned, and again where they are clearly others than told."""
        told, now = self._told_steps, self._planned_steps
        if now != self.plan.steps and abs(now - told) > _TOLD_AGAIN * told:
            self._told_steps = now
            self.callbacks.on_plan(Replanned(planned_steps=self.plan.steps, steps=now))

    def _run_step(self, batches: Sequence[Batch]) -> None:
        """Take a step, report it, and evaluate and save where it is time to."""
        state = self.state
        loss = self.train_step(batches)
        if not math.isfinite(loss):
            self.stopped_by = "non_finite_loss"
            return
        state.step += 1
        state.tokens += sum(batch.tokens for batch in batches)
        state.loss_sum, state.loss_steps = state.loss_sum + loss, state.loss_steps + 1
        self._report_progress(f", loss {loss:.4f}{self._last_held_out()}")
        if state.step % max(1, self.plan.steps // _EVALUATIONS) == 0:
            self._add_point()
        if self.callbacks.file and self.ranks.is_main:
            now = time.monotonic()
            is_time = now - self._saved_at >= self.callbacks.every_seconds
            if is_time or self.callbacks.must_save():
                state.seconds = now - self._started_at
                self.save_checkpoint()
                self._saved_at = time.monotonic()

    def train_step(self, batches: Sequence[Batch]) -> float:
        """Learn from the batches of a step and return its loss.

        It is NaN where the loss or the gradient is not finite; the weights then stay as they were.
        The gradients of micro-batches add up to those of the whole batch.
        """
        step = self.state.step
        rate = self.plan.rate(step, self._planned_steps, self.state.query_start)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        trains_all = step >= self.plan.embedding_steps
        for parameter in self._parameters:
            parameter.requires_grad_(trains_all or id(parameter) in self._vocabulary_ids)
        if self.model.training != self.plan.dropout:
            self.model.train(self.plan.dropout)
        # A step's noise depends on its number alone, so that a resumed run is the same run.
        torch.manual_seed((self.plan.seed * 1_000_003 + step) * 1_009 + self.ranks.rank)
        self.optimizer.zero_grad(set_to_none=True)
        losses = []
        with self._weights_in_use():
            for loss in (loss for batch in batches for loss in self._losses(batch)):
                self.accelerator.backward(loss)
                losses.append(loss.detach())
                self._report_progress()
        self.ranks.sum_gradients(self._parameters)
        norm = self.accelerator.clip_grad_norm_(self._parameters, _MAX_GRADIENT_NORM)
        # Read from the GPU once a step: each read makes it wait.
        total = self._sum(losses)
        step_loss, gradient_norm = torch.stack([total, norm.to(total)]).tolist()
        if not math.isfinite(step_loss + gradient_norm):
            return math.nan
        self.optimizer.step()
        return float(step_loss)

    def _losses(self, batch: Batch) -> Iterator[Tensor]:
        """Yield this rank's parts of a batch's loss, a scalar for each micro-batch."""
        for examples in micro_batches(by_length(batch.examples), self.max_positions):
            with self.accelerator.autocast():
                yield batch.loss.loss(self.model, examples, batch.num_items)

    def _sum(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the sum over all ranks, of which some may have nothing to learn from."""
        zero = torch.zeros((), device=self.accelerator.device)
        return self.ranks.sum(torch.stack([zero, *losses]).sum())

    @torch.no_grad()
    def evaluate(self) -> float | None:
        """Return the held-out loss, without dropout; None without held-out texts."""
        self.model.train(mode=False)
        held_out = self.held_out
        if self.queries and self.state.query_start is not None:
            held_out = self.queries.held_out
        with self._weights_in_use():
            losses = [loss for batch in held_out for loss in self._losses(batch)]
        total = self._sum(losses)
        return float(total) if any(batch.tokens for batch in held_out) else None

    def _add_point(self, *, is_final: bool = False) -> None:
        """Add the losses to the curve, keep the best weights, stop where they grow old."""
        state = self.state
        if not state.loss_steps:
            return
        held_out = self.evaluate()
        finite = held_out if held_out is not None and math.isfinite(held_out) else None
        point = LossPoint(
            step=state.step,
            train=state.loss_sum / state.loss_steps,
            held_out=finite,
            queries=state.query_start is not None,
        )
        state.loss_sum, state.loss_steps = 0.0, 0
        state.curve.append(point)
        self.callbacks.on_point(point)
        if held_out is None or held_out <= self.best.loss:
            loss = math.inf if held_out is None else held_out
            self.best = BestWeights(state.step, loss, copy_weights(self.model))
        elif not is_final and self._is_overfitting(held_out):
            state.overfits = True

    def _is_overfitting(self, held_out: float) -> bool:
        # While the rate is high the loss may stand still, or rise above where it was at first.
        if held_out <= _TOLERANCE * self.best.loss:
            return False
        points_since = sum(point.step > self.best.step for point in self.state.curve)
        return points_since >= _PATIENCE and self.state.step > self._planned_steps / 2

    def _report_progress(self, details: str = "") -> None:
        done, planned = self.state.step, max(1, self._planned_steps)
        fewer = planned < self.plan.steps
        of = f" ({self.plan.steps:,} were planned: time is short)" if fewer else ""
        queries = "" if self.state.query_start is None else ", on queries"
        bits = "" if self.state.four_bit_start is None else ", in four bits"
        message = f"step {done:,} of {planned:,}{of}{queries}{bits}{details}"
        self.callbacks.progress(min(1.0, done / planned), message)

    def _last_held_out(self) -> str:
        curve = self.state.curve
        return f", held out {curve[-1].held_out:.4f}" if curve and curve[-1].held_out else ""

    def save_checkpoint(self) -> None:
        """Write all of the training to ``callbacks.file``, which appears whole."""
        file = self.callbacks.file
        assert file is not None
        content = {
            "run": self.run_id,
            "state": {**asdict(self.state), "curve": [p.model_dump() for p in self.state.curve]},
            # Weights that are both the best and the newest are written once.
            "best": asdict(self.best) if self.best.step != self.state.step else None,
            "weights": copy_weights(self.model),
            "optimizer": self.optimizer.state_dict(),
        }
        partial = file.with_name(file.name + ".partial")
        with partial.open("wb") as sink:
            torch.save(content, sink)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(file)
        self.callbacks.saved()

    def load_checkpoint(self) -> bool:
        """Go on from ``callbacks.file``; False where it has no checkpoint of this run."""
        file = self.callbacks.file
        if file is None or not file.is_file():
            return False
        content = torch.load(file, map_location="cpu", weights_only=True)
        if content["run"] != self.run_id:
            return False
        put_weights(self.model, content["weights"])
        self.optimizer.load_state_dict(content["optimizer"])
        curve = [LossPoint(**point) for point in content["state"]["curve"]]
        self.state = TrainerState(**{**content["state"], "curve": curve})
        if content["best"]:
            self.best = BestWeights(**content["best"])
        else:
            held_out = curve[-1].held_out if curve else None
            loss = math.inf if held_out is None else held_out
            self.best = BestWeights(self.state.step, loss, copy.deepcopy(content["weights"]))
        return True


def make_optimizer(model: PreTrainedModel, learning_rate: float) -> torch.optim.AdamW:
    """Return AdamW; vectors, such as biases and norms, and embeddings do not decay."""
    vocabulary_ids, parameters = vocabulary_parameter_ids(model), list(model.parameters())
    matrices = [p for p in parameters if p.dim() > 1 and id(p) not in vocabulary_ids]
    others = [p for p in parameters if p.dim() <= 1 or id(p) in vocabulary_ids]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": _WEIGHT_DECAY},
        {"params": others},
    ]
    fused = parameters[0].device.type == "cuda"
    return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=0.0, fused=fused)


def vocabulary_parameter_ids(model: PreTrainedModel) -> set[int]:
    """Return the identities of the parameters with one entry a token."""
    tensors = vocabulary_tensors(model)
    return {id(t) for t in (*tensors.input_tables, *tensors.output_tables, *tensors.biases)}


def copy_weights(model: nn.Module) -> Weights:
    """Return a copy of a model's parameters by name, on the CPU; shared ones once."""
    return {name: p.detach().to("cpu", copy=True) for name, p in model.named_parameters()}


def put_weights(model: nn.Module, weights: Weights) -> None:
    """Give a model the parameters that ``copy_weights`` returned."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
