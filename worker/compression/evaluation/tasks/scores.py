"""Score base and compressed model on a task, over several seeds."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev

import numpy as np

from app.contract.names import METRICS
from app.contract.report import Quality, Scores, TaskQuality, TaskScores
from worker.compression.evaluation.intervals import Array, Draws, intervals_of
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, part, silent


class Figures(dict[str, float]):
    """The figures of one run by metric, the task's own first.

    ``draws`` has what each comes to on resamples of the test part's ``count`` items.
    """

    def __init__(
        self, figures: Mapping[str, float], draws: Mapping[str, Array] | None = None, count: int = 0
    ) -> None:
        super().__init__(figures)
        self.draws = dict(draws or {})
        self.count = count


class ScoresByMetric(dict[str, Scores]):
    """The figures of all seeds by metric; ``draws`` are the means of the seeds' own."""

    def __init__(self, runs: Sequence[Figures]) -> None:
        super().__init__({m: summary([run[m] for run in runs]) for m in runs[0]})
        self.draws = {m: np.mean([run.draws[m] for run in runs], axis=0) for m in runs[0].draws}
        self.count = runs[0].count


# The figures of a model with a seed.
Score = Callable[[LoadedModel, int, Progress], Mapping[str, float]]


def score_all(
    score: Score, loaded: LoadedModel, seeds: Sequence[int], progress: Progress | None = None
) -> ScoresByMetric:
    """Score a model with every seed."""
    progress = progress or silent
    runs = [
        score(loaded, seed, part(progress, number / len(seeds), (number + 1) / len(seeds)))
        for number, seed in enumerate(seeds)
    ]
    return summarize(runs)


def summarize(runs: Sequence[Mapping[str, float]]) -> ScoresByMetric:
    """Return the scores over several runs."""
    return ScoresByMetric([run if isinstance(run, Figures) else Figures(run) for run in runs])


def summary(values: Sequence[float]) -> Scores:
    """Return values with their mean and their standard deviation, 0 where there is one."""
    return Scores(
        values=list(values), mean=mean(values), spread=stdev(values) if len(values) > 1 else 0.0
    )


def compare(type_: str, before: ScoresByMetric, after: ScoresByMetric) -> TaskQuality:
    """Set the scores of the compressed model against those of its base, where it has them."""
    own, *others = (
        TaskScores(
            metric=metric,
            before=scores,
            after=after[metric],
            retention=METRICS[metric].retention(scores.mean, after[metric].mean),
            items=after.count or None,
            **intervals_of(
                _draws(before, after, metric), higher_is_better=METRICS[metric].higher_is_better
            ),
        )
        for metric, scores in before.items()
        if metric in after
    )
    return TaskQuality(type=type_, seeds=len(own.before.values), others=others, **dict(own))


def _draws(before: ScoresByMetric, after: ScoresByMetric, metric: str) -> Draws | None:
    if metric not in before.draws or metric not in after.draws:
        return None
    return Draws(before.draws[metric], after.draws[metric])


def quality_rows(task: TaskQuality | None) -> list[Quality]:
    """Return the rows of the report's quality; a metric of which the base has nothing has none."""
    return [
        Quality(
            metric=row.metric,
            before=row.before.mean,
            after=row.after.mean,
            retention=row.retention,
            low=row.low,
            high=row.high,
            after_low=row.after_low,
            after_high=row.after_high,
            items=row.items,
        )
        for row in (task.scores.values() if task else ())
        if row.retention is not None
    ]
