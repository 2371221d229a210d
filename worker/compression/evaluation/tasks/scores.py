"""Scores of base and compressed model on a task, over several seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from worker.compression.loading import LoadedModel
from worker.compression.progress import Progress, part, silent

Score = Callable[[LoadedModel, int, Progress], float]
"""The score of a model with a seed."""


@dataclass(frozen=True)
class Scores:
    """A score a seed; ``spread`` is their standard deviation, 0 where there is one."""

    values: list[float]
    mean: float
    spread: float


@dataclass(frozen=True)
class TaskQuality:
    """A metric of a task for both models; ``retention`` is after / before."""

    metric: str
    before: Scores
    after: Scores
    retention: float | None


def compare(
    metric: str,
    score: Score,
    models: tuple[LoadedModel, LoadedModel],
    seeds: Sequence[int] = (0,),
    progress: Progress | None = None,
) -> TaskQuality:
    """Score base and compressed model with the same seeds."""
    progress, runs = progress or silent, len(models) * len(seeds)
    found: list[list[float]] = [[], []]
    for number, seed in enumerate(seeds):
        for which, model in enumerate(models):
            done = number * len(models) + which
            own = part(progress, done / runs, (done + 1) / runs)
            found[which].append(score(model, seed, own))
    before, after = (summary(values) for values in found)
    return TaskQuality(metric, before, after, after.mean / before.mean if before.mean else None)


def summary(values: Sequence[float]) -> Scores:
    return Scores(list(values), mean(values), stdev(values) if len(values) > 1 else 0.0)
