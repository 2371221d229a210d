"""The figures of a recovery that has ended, and what was wrong with it."""

from dataclasses import asdict

from worker.compression.errors import RecoveryTooShortError
from worker.compression.recovery.budget import Budget
from worker.compression.recovery.loop import Loop
from worker.compression.recovery.outcome import Recovery
from worker.compression.recovery.prepare import Prepared


def summarize(asked: Recovery, loop: Loop, made: Prepared) -> Recovery:
    """Return the figures of a loop that has ended.

    Raises:
        RecoveryTooShortError: there was no time for a step, and its limit was asked for.

    """
    state, budget = loop.state, made.budget
    known = asdict(asked) | {
        "loss": state.curve,
        "warning": _warning(loop, budget),
        "steps": state.step,
        "planned_steps": made.plan.steps,
        "kept_step": loop.best.step,
        "epochs": round(state.step * budget.batch_size / made.documents, 2),
        "batch_size": budget.batch_size,
        "learning_rate": made.rate,
        "seconds": round(state.seconds, 2),
        "tokens": state.tokens,
        "tokens_per_second": round(state.tokens / max(state.seconds, 1e-9), 1),
        "device": loop.learner.accelerator.device.type,
        "processes": loop.learner.processes.count,
        "stopped_by": loop.stopped_by,
    }
    return Recovery(**known)


def _warning(loop: Loop, budget: Budget) -> str | None:
    state = loop.state
    if loop.stopped_by == "non_finite_loss":
        return f"the loss was not a number after {state.step} steps: lower the learning rate"
    if state.step or loop.stopped_by != "max_minutes":
        return None
    if budget.seconds_asked:
        raise RecoveryTooShortError(
            f"recovery.max_minutes is too short for one step, which took {state.seconds:.0f} "
            "seconds: give more, a smaller batch_size, or `none` as the objective."
        )
    return "there was no time for a single step: recovery needs more minutes"
