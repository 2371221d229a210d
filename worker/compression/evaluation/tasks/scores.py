"""Scores of base and compressed model on a task, over several seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from worker.compression.evaluation.quality import Quality
from worker.compression.models.loading import LoadedModel
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
    """A task's metric of both models, over ``seeds`` seeds, the same for both.

    ``retention`` is after / before of the means; None where the base scores nothing, or less.
    """

    type: str
    metric: str
    seeds: int
    before: Scores
    after: Scores
    retention: float | None


def score_all(
    score: Score, loaded: LoadedModel, seeds: Sequence[int], progress: Progress | None = None
) -> Scores:
    """Score a model with every seed."""
    progress = progress or silent
    values = [
        score(loaded, seed, part(progress, number / len(seeds), (number + 1) / len(seeds)))
        for number, seed in enumerate(seeds)
    ]
    return summary(values)


def compare(type_: str, metric: str, before: Scores, after: Scores) -> TaskQuality:
    """Set the scores of the compressed model against those of its base."""
    kept = after.mean / before.mean if before.mean > 0 else None
    return TaskQuality(type_, metric, len(before.values), before, after, kept)


def quality_row(task: TaskQuality | None) -> list[Quality]:
    """The task as a row of the report's quality; none where no share of the base's is kept."""
    if task is None or task.retention is None:
        return []
    return [Quality(task.metric, task.before.mean, task.after.mean, task.retention)]


def summary(values: Sequence[float]) -> Scores:
    return Scores(list(values), mean(values), stdev(values) if len(values) > 1 else 0.0)
