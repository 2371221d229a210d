"""Scores of base and compressed model on a task, over several seeds."""

from collections.abc import Callable, Sequence
from statistics import mean, stdev

from app.contract.report import Quality, Scores, TaskQuality
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, part, silent

Score = Callable[[LoadedModel, int, Progress], float]
"""The score of a model with a seed."""


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
    return TaskQuality(
        type=type_,
        metric=metric,
        seeds=len(before.values),
        before=before,
        after=after,
        retention=kept,
    )


def quality_row(task: TaskQuality | None) -> list[Quality]:
    """The task as a row of the report's quality; none where no share of the base's is kept."""
    if task is None or task.retention is None:
        return []
    return [
        Quality(
            metric=task.metric,
            before=task.before.mean,
            after=task.after.mean,
            retention=task.retention,
        )
    ]


def summary(values: Sequence[float]) -> Scores:
    return Scores(
        values=list(values), mean=mean(values), spread=stdev(values) if len(values) > 1 else 0.0
    )
