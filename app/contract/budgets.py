"""Bound what a recovery and an evaluation may take: presets, and what corpus and CPU are good for.

The engine trains by these numbers, and the front end estimates a job by them.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol

Preset = Literal["fast", "balanced", "max"]
DEFAULT_GENERAL_SHARE = 0.25
"""Share of the texts of a sentence encoder's recovery that are of no domain."""
QUERY_SHARE, QUERY_RATE = 0.2, 0.3
"""Share of the steps, the last ones, that train on queries; and their share of the rate."""
FOUR_BIT_SHARE = 0.2
"""Share of the steps, the last ones, that train with weights in four bits for a file of these; of
a short recovery it is more."""
_MEASURED_SHARE = 0.5
"""Of the time of all else, so that the measurements are a third of a job."""
_LEAST_MEASURED_SECONDS = 30.0
"""For a size, whatever else took."""
_SMALL, _MOST_MEASURED_SECONDS, _MOST_MEASURED_SECONDS_OF_LARGE = 50_000_000, 100.0, 600.0
"""A model of fewer parameters is measured in so many seconds; loading models comes to that."""


@dataclass(frozen=True)
class Budget:
    """Bound a recovery: whichever of ``steps``, ``seconds`` and ``flops`` ends first.

    ``flops``, in floating-point operations, bounds a CPU by what it computes and not by the clock,
    so that a seed gives the same weights twice; ``seconds`` is far enough away to be reached by a
    slow machine only. ``seconds_asked`` tells whether the user set it.
    """

    steps: int
    batch_size: int
    max_length: int
    seconds: float | None
    flops: float | None = None
    seconds_asked: bool = False


class Asked(Protocol):
    """Say what a user asked for; None is left to the preset."""

    @property
    def preset(self) -> Preset: ...
    @property
    def epochs(self) -> float | None: ...
    @property
    def max_steps(self) -> int | None: ...
    @property
    def batch_size(self) -> int | None: ...
    @property
    def max_length(self) -> int | None: ...
    @property
    def max_minutes(self) -> float | None: ...


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


def asked_budget(
    asked: Asked,
    *,
    on_gpu: bool,
    documents: int,
    most_minutes: float | None = None,
    share: float = 1.0,
) -> Budget:
    """Return the budget that is asked for, on a corpus of so many documents.

    A preset's own limits hold only where the user set none: with ``epochs`` or ``max_steps`` there
    is no limit of time unless ``max_minutes`` sets one, and with ``max_minutes`` alone the time may
    be used up. ``most_minutes`` holds whatever is asked for. One of several models has a ``share``
    of the preset, or of the time; steps and epochs that were asked for it takes whole.
    """
    preset = _part((_GPU if on_gpu else _CPU)[asked.preset], share)
    budget = replace(
        preset,
        batch_size=asked.batch_size or preset.batch_size,
        max_length=asked.max_length or preset.max_length,
    )
    limits = [asked.max_steps] if asked.max_steps else []
    if asked.epochs is not None:
        # An epoch draws one text of every document.
        limits.append(max(1, math.ceil(asked.epochs * documents / budget.batch_size)))
    if limits:
        budget = replace(budget, steps=min(limits), seconds=None, flops=None)
    if asked.max_minutes is not None:
        seconds = asked.max_minutes * 60 * share
        budget = replace(budget, seconds=seconds, flops=None, seconds_asked=True)
    if most_minutes is not None:
        most = most_minutes * 60
        budget = replace(budget, seconds=min(budget.seconds or most, most))
    return budget


def _part(budget: Budget, share: float) -> Budget:
    return replace(
        budget,
        steps=max(1, round(budget.steps * share)),
        seconds=budget.seconds and budget.seconds * share,
        flops=budget.flops and budget.flops * share,
    )


def limit_steps(
    budget: Budget, asked: Asked, *, useful_texts: float, flops_per_text: float
) -> Budget:
    """Limit the steps of a preset to what a small corpus and a CPU are good for.

    ``useful_texts`` is the number of texts that may be drawn from the corpus before they repeat
    too often. Steps that the user asked for stay.
    """
    if asked.epochs is not None or asked.max_steps is not None:
        return budget
    steps = min(budget.steps, math.ceil(useful_texts / budget.batch_size))
    if budget.flops is not None:
        steps = min(steps, int(budget.flops / (flops_per_text * budget.batch_size)))
    return replace(budget, steps=max(1, steps))


def query_steps(steps: int, share: float = QUERY_SHARE) -> int:
    """Return how many of the steps of a recovery are on queries, where there are enough."""
    return int(share * steps)


def evaluation_seconds(spent: float, parameters: int, sizes: int) -> float:
    """Return the seconds for all measurements, after a job of ``spent`` seconds so far."""
    is_small = parameters < _SMALL
    most = _MOST_MEASURED_SECONDS if is_small else _MOST_MEASURED_SECONDS_OF_LARGE
    return min(most, max(sizes * _LEAST_MEASURED_SECONDS, _MEASURED_SHARE * spent))
