"""What a recovery may take on a machine, and how fast it learns there."""

from dataclasses import dataclass, replace
from math import ceil

from worker.compression.recovery.options import Preset, RecoveryOptions


@dataclass(frozen=True)
class Budget:
    """What a recovery may take: whichever ends first. ``work`` is in floating-point operations.

    ``work`` bounds a CPU by what it computes and not by the clock, so that a seed gives the same
    weights twice; ``seconds`` is far enough away to be reached by a slow machine only.
    """

    steps: int
    batch_size: int
    max_length: int
    seconds: float | None
    work: float | None = None
    seconds_asked: bool = False


_GPU: dict[Preset, Budget] = {
    "fast": Budget(800, 128, 256, 5 * 60),
    "balanced": Budget(3500, 128, 256, 20 * 60),
    "max": Budget(8000, 128, 256, 2 * 3600),
}
_CPU: dict[Preset, Budget] = {
    "fast": Budget(800, 16, 128, 2 * 60, 2.5e12),
    "balanced": Budget(3500, 16, 128, 5 * 60, 1e13),
    "max": Budget(8000, 32, 256, 2 * 3600, 2e14),
}


def settle(options: RecoveryOptions, *, on_gpu: bool, documents: int) -> Budget:
    """Return what the options come to for a corpus.

    A preset's own limits hold only where the user set none: with ``epochs`` or ``max_steps`` there
    is no limit of time unless ``max_minutes`` sets one, and with ``max_minutes`` alone the time may
    be used up.
    """
    preset = (_GPU if on_gpu else _CPU)[options.preset]
    budget = replace(
        preset,
        batch_size=options.batch_size or preset.batch_size,
        max_length=options.max_length or preset.max_length,
    )
    asked = [
        steps for steps in (options.max_steps, _epoch_steps(options, budget, documents)) if steps
    ]
    if asked:
        budget = replace(budget, steps=min(asked), seconds=None, work=None)
    if options.max_minutes is not None:
        seconds = options.max_minutes * 60
        budget = replace(budget, seconds=seconds, work=None, seconds_asked=True)
    if options.most_minutes is not None:
        most = options.most_minutes * 60
        budget = replace(budget, seconds=min(budget.seconds or most, most))
    return budget


def _epoch_steps(options: RecoveryOptions, budget: Budget, documents: int) -> int | None:
    """Return the steps of so many passes, of which each draws one text of every document."""
    if options.epochs is None:
        return None
    return max(1, ceil(options.epochs * documents / budget.batch_size))


_RATE, _WIDTH, _TEXTS = 5e-4, 384, 3500 * 128
_PASSES = {True: 500, False: 30}
"""Most draws of a document by default: of its parts when distilling, of its text else."""


def default_rate(width: int, budget: Budget, *, fewer_layers: bool) -> float:
    """Return the learning rate of a model so wide for a budget.

    5e-4 is MiniLM's for 3,500 steps of 128 texts. A wider model gets less, and so does a shorter
    run, by the fourth root of its texts: at 50 steps of 16, both 2e-4 and 5e-5 end worse than 1e-4.
    A model that lost layers has further to go: twice as much, and by the eighth root
    (docs/decisions/0004).
    """
    short = min(1.0, budget.steps * budget.batch_size / _TEXTS)
    share = 2 * short ** (1 / 8) if fewer_layers else short ** (1 / 4)
    return float(_RATE * min(1.0, _WIDTH / width) * share)


@dataclass(frozen=True)
class Load:
    """What the corpus and the models make of a step."""

    documents: int
    texts_per_document: float
    work_per_text: float
    """In floating-point operations, of student and teacher."""
    draws_parts: bool


def bounded(budget: Budget, options: RecoveryOptions, load: Load) -> Budget:
    """Bound the steps a preset plans by what a small corpus and a CPU are good for."""
    if options.epochs is not None or options.max_steps is not None:
        return budget
    texts = _PASSES[load.draws_parts] * load.documents * max(1.0, load.texts_per_document)
    steps = min(budget.steps, ceil(texts / budget.batch_size))
    if budget.work is not None:
        steps = min(steps, int(budget.work / (load.work_per_text * budget.batch_size)))
    return replace(budget, steps=max(1, steps))
