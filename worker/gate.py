"""The gate of a job: which of the sizes is the result, and what it falls short of."""

from collections.abc import Sequence

from app.contract.errors import JobError, UserFault
from app.contract.recipe import GateRecipe, Recipe, metric_fault
from app.contract.report import Quality, TaskQuality
from app.contract.results import EvaluatedSize


def check_metric(recipe: Recipe, metrics: Sequence[str]) -> None:
    """Refuse to judge by a metric that is none of the model's, `metrics`, nor of the task."""
    metric, task = (recipe.target or recipe.gate).metric, recipe.evaluation.task
    if metric is None or (task and metric in task.metrics):
        return
    if metric not in metrics:
        others = ", ".join(f"`{name}`" for name in metrics)
        why = f"`{metric}` is not measured on this base model, but {others}: name one of these."
        raise UserFault("gate_metric_not_measured", metric_fault(metric, task) or why)


def misses(gate: GateRecipe, measured: EvaluatedSize) -> list[str]:
    """Return what of the gate a size does not reach, for people."""
    reasons = []
    if gate.min_quality is not None:
        reasons += quality_misses(gate.metric, gate.min_quality, measured.quality, measured.task)
    size = measured.compressed.bytes
    if gate.max_bytes is not None and size > gate.max_bytes:
        reasons.append(
            f"the weights have {size:,} bytes, but at most {gate.max_bytes:,} were asked for"
        )
    return reasons


def judged_metric(
    metric: str | None, task: TaskQuality | None, rows: Sequence[Quality]
) -> str | None:
    """Return the metric that is judged: the one named, the task's, or the first; None of none."""
    return metric or (task.metric if task else None) or (rows[0].metric if rows else None)


def quality_misses(
    metric: str | None, least: float, rows: Sequence[Quality], task: TaskQuality | None
) -> list[str]:
    """Return what quality lacks of the least that is asked, for people; nothing where it does not.

    `rows` are a model's or a file's, and `task` is the model's.
    """
    metric = judged_metric(metric, task, rows)
    if metric is None:
        return ["no quality could be measured"]
    kept = next((row.retention for row in rows if row.metric == metric), None)
    scores = task.scores.get(metric) if task else None
    if kept is None and scores and scores.retention is None:
        return [f"the base scores {scores.before.mean:.4f} in {metric}, of which none is kept"]
    if kept is None:
        return [f"{metric} could not be measured"]
    share = f"{kept:.4f}" if kept > 0 else "nothing"
    reason = f"{metric} keeps {share} of the base's, but at least {least} was asked for"
    return [reason] if kept < least else []


def choose(gate: GateRecipe, sizes: Sequence[EvaluatedSize]) -> EvaluatedSize:
    """Return the smallest size that passes; the first without a gate, or where none passes."""
    passing = [measured for measured in sizes if not misses(gate, measured)]
    if not any(gate.model_dump().values()) or not passing:
        return sizes[0]
    return min(passing, key=lambda measured: measured.vocab_size)


def gate_error(gate: GateRecipe, sizes: Sequence[EvaluatedSize]) -> JobError | None:
    """Return why the job fails in spite of its result, where no size passes."""
    missed = {measured.vocab_size: misses(gate, measured) for measured in sizes}
    if not all(missed.values()):
        return None
    reasons = [f"with {size:,} tokens {', and '.join(why)}" for size, why in missed.items()]
    message = (
        f"The gate is not met: {'; '.join(reasons)}. The report and the result are kept. Ask for "
        "another size, or for less in `gate`, in a new job."
    )
    return JobError(type="user", code="gate_not_met", message=message, retryable=False)
