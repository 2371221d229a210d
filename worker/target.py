"""The target of a job: which of its models is the result, why, and what the nearest misses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.contract.errors import JobError
from app.contract.names import ANY, BASELINE, in_runtime, runtime_name
from app.contract.points import SizedPoint, plan
from app.contract.recipe import TargetRecipe
from app.contract.report import Target, TargetPoint
from app.contract.results import EvaluatedSize
from worker.gate import judged_metric, quality_misses


def planned(target: TargetRecipe, candidates: Sequence[SizedPoint]) -> list[SizedPoint]:
    """Return those of the points in reach of a target that are to be made."""
    return plan(candidates, target.max_bytes, only_quality=target.only_quality)


@dataclass(frozen=True)
class Judged:
    """A model in a runtime, with what the target sees of it."""

    measured: EvaluatedSize
    seen: TargetPoint
    excess: float
    """The largest share by which it misses a part of the target; infinite where unmeasured."""

    @property
    def meets(self) -> bool:
        """True where it misses nothing."""
        return not self.seen.misses


@dataclass(frozen=True)
class Pick:
    """The model at the root of a result, and what is told of it."""

    measured: EvaluatedSize
    target: Target
    meeting: list[EvaluatedSize]


def pick(target: TargetRecipe, models: Sequence[EvaluatedSize]) -> Pick:
    """Pick the best model that meets a target; where none does, the nearest.

    The best keeps most quality; where nothing else is asked than quality, it is the smallest. With
    `any` each model is judged in all runtimes in which it was measured.
    """
    judged = [
        _judged(target, model, runtime)
        for model in models
        for runtime in target.weighed([BASELINE, *(file.runtime for file in model.exports)])
    ]
    meeting = [one for one in judged if one.meets]
    found = min(meeting or judged, key=lambda one: _rank(target, one))
    told = Target(
        **target.model_dump(),
        picked=found.seen if meeting else None,
        nearest=None if meeting else found.seen,
        reason=_reason(target, found, _count(target, models, meeting, judged)),
        front=[one.seen for one in judged],
    )
    return Pick(found.measured, told, [one.measured for one in meeting])


def target_error(target: Target) -> JobError | None:
    """Return why the job fails in spite of its result, where no model meets the target."""
    if target.picked:
        return None
    message = (
        f"The target is not met. {target.reason} The report and all models are kept. Ask for less "
        "in `target`, or give recovery more time, in a new job."
    )
    return JobError(type="user", code="target_not_met", message=message, retryable=False)


def _rank(target: TargetRecipe, one: Judged) -> tuple[float, ...]:
    """Return what is lower for a better model; first of all, for one that misses less."""
    seen = one.seen
    worst = math.inf
    quality = worst if seen.kept is None else -seen.kept
    cost = (seen.bytes, worst if seen.ms is None else seen.ms)
    return (one.excess, *cost, quality) if target.only_quality else (one.excess, quality, *cost)


def _judged(target: TargetRecipe, model: EvaluatedSize, runtime: str) -> Judged:
    file = next((file for file in model.exports if file.runtime == runtime), None)
    size = file.bytes if file else model.compressed.bytes
    rows = file.quality if file else model.quality
    metric = judged_metric(target.metric, model.task, rows)
    kept = next((row.retention for row in rows if row.metric == metric), None)
    ms = next(
        (
            row.after_ms
            for row in model.latency
            if runtime_name(row.runtime) == runtime and row.batch_size == target.batch_size
        ),
        None,
    )
    misses, excess = list[str](), [0.0]
    if target.max_bytes is not None and size > target.max_bytes:
        misses.append(f"it has {size:,} bytes, but at most {target.max_bytes:,} were asked for")
        excess.append(size / target.max_bytes - 1)
    if target.max_ms is not None and (ms is None or ms > target.max_ms):
        took = "was not timed" if ms is None else f"takes {ms:.3g} ms"
        misses.append(
            f"a batch of {target.batch_size} {took}, but at most {target.max_ms:g} ms were asked "
            "for"
        )
        excess.append(math.inf if ms is None else ms / target.max_ms - 1)
    if target.min_quality is not None:
        missed = quality_misses(target.metric, target.min_quality, rows, model.task)
        misses += missed
        if missed:
            excess.append(target.min_quality / kept - 1 if kept and kept > 0 else math.inf)
    seen = TargetPoint(
        vocab_size=model.vocab_size,
        layers=model.layers,
        bytes=size,
        ms=ms,
        metric=metric,
        kept=kept,
        misses=misses,
        runtime=runtime,
    )
    return Judged(model, seen, max(excess))


def _count(
    target: TargetRecipe,
    models: Sequence[EvaluatedSize],
    meeting: Sequence[Judged],
    judged: Sequence[Judged],
) -> str:
    """Say how many of what was made meet a target."""
    made = "1 model that was made" if len(models) == 1 else f"{len(models)} models that were made"
    if target.runtime == ANY:
        made = f"{len(judged)} files of the {made}"
    meet = f"{len(meeting)} meet{'s' if len(meeting) == 1 else ''}" if meeting else "none meets"
    return f"Of the {made} {meet} the target"


def _reason(target: TargetRecipe, found: Judged, count: str) -> str:
    """Say in a sentence why a model was picked; `count` begins it."""
    seen = found.seen
    name, layers = found.measured.point.label, found.measured.layers
    name += " and all layers" if layers is None else ""
    share = None if seen.kept is None else max(0.0, seen.kept)
    kept = "" if share is None else f", {share:.1%} of the base's ({seen.metric})"
    name += f" {in_runtime(seen.runtime or BASELINE)}"
    if seen.misses:
        return f"{count}. The nearest is that of {name}: {'; '.join(seen.misses)}."
    best = f"is the smallest of these, with {seen.bytes:,} bytes" if target.only_quality else ""
    best = best or "keeps the most quality of these"
    return f"{count}; that of {name} {best}{kept}."
