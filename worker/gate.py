"""Which of the sizes is the result, and what it falls short of."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.failures import JobError, UserFault
from app.jobs.recipe import GateRecipe, Recipe
from app.jobs.recipe.task import metric_fault

Measured = Mapping[str, Any]
"""What the stage `evaluate` left of a size."""


def check_gate(recipe: Recipe, measured: Sequence[str]) -> None:
    """Refuse a gate on a metric that is none of the model's, `measured`, nor of the task."""
    metric, task = recipe.gate.metric, recipe.evaluation.task
    if metric is None or (task and metric == task.metric):
        return
    if metric not in measured:
        others = ", ".join(f"`{name}`" for name in measured)
        said = f"`{metric}` is not measured on this base model, but {others}: name one of these."
        raise UserFault("gate_metric_not_measured", metric_fault(metric, task) or said)


def misses(gate: GateRecipe, measured: Measured) -> list[str]:
    """What of the gate a size does not reach, for people."""
    found = []
    if gate.min_quality is not None:
        found += _quality_misses(gate.metric, gate.min_quality, measured)
    size = measured["compressed"]["bytes"]
    if gate.max_bytes is not None and size > gate.max_bytes:
        found.append(f"the weights have {size} bytes, {gate.max_bytes} were asked")
    return found


def _quality_misses(metric: str | None, least: float, measured: Measured) -> list[str]:
    rows, task = measured["quality"], measured.get("task")
    metric = metric or (task and task["metric"]) or (rows and rows[0]["metric"])
    if not metric:
        return ["no quality could be measured"]
    kept = next((row["retention"] for row in rows if row["metric"] == metric), None)
    if kept is None and task and task["metric"] == metric:
        return [f"the base scores {task['before']['mean']:.4f} in {metric}, of which none is kept"]
    if kept is None:
        return [f"{metric} could not be measured"]
    said = f"{metric} keeps {kept:.4f} of the base's, {least} was asked"
    return [said] if kept < least else []


def choose(gate: GateRecipe, sizes: Sequence[Measured]) -> Measured:
    """The smallest size that passes the gate; the first without a gate, or where none passes."""
    passing = [measured for measured in sizes if not misses(gate, measured)]
    if not any(gate.model_dump().values()) or not passing:
        return sizes[0]
    return min(passing, key=vocab_size)


def gate_error(gate: GateRecipe, sizes: Sequence[Measured]) -> JobError | None:
    """Why the job fails in spite of its result, where no size passes."""
    missed = {vocab_size(measured): misses(gate, measured) for measured in sizes}
    if not all(missed.values()):
        return None
    reasons = [f"with {size:,} tokens {' and '.join(found)}" for size, found in missed.items()]
    message = (
        f"The gate is not met: {'; '.join(reasons)}. The report and the result are kept. Ask for "
        "another size, or for less in `gate`, in a new job."
    )
    return JobError(type="user", code="gate_not_met", message=message, retryable=False)


def vocab_size(measured: Measured) -> int:
    """The tokens of a size."""
    size: int = measured["compressed"]["vocab_size"]
    return size
