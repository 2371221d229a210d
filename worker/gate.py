"""Which of the sizes is the result, and what it falls short of."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.failures import JobError
from app.jobs.recipe import GateRecipe

Measured = Mapping[str, Any]
"""What the stage `evaluate` left of a size."""


def misses(gate: GateRecipe, measured: Measured) -> list[str]:
    """What of the gate a size does not reach, for people."""
    found = []
    if gate.min_quality is not None:
        first = next(iter(measured["quality"]), None)
        if first is None:
            found.append("no quality could be measured")
        elif first["retention"] < gate.min_quality:
            kept = f"{first['metric']} keeps {first['retention']:.4f} of the base's"
            found.append(f"{kept}, {gate.min_quality} was asked")
    size = measured["compressed"]["bytes"]
    if gate.max_bytes is not None and size > gate.max_bytes:
        found.append(f"the weights have {size} bytes, {gate.max_bytes} were asked")
    return found


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
