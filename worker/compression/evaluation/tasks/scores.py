"""Score base and compressed model on a task, over several seeds."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev

from app.contract.names import METRICS
from app.contract.report import Quality, Scores, TaskQuality, TaskScores
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, part, silent

# The figures of one run, and those of all seeds, by metric: the task's own first.
Figures = Mapping[str, float]
ScoresByMetric = Mapping[str, Scores]

# The figures of a model with a seed.
Score = Callable[[LoadedModel, int, Progress], Figures]


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


def summarize(runs: Sequence[Figures]) -> ScoresByMetric:
    """Return the scores over several runs."""
    return {metric: summary([run[metric] for run in runs]) for metric in runs[0]}


def summary(values: Sequence[float]) -> Scores:
    """Return values with their mean and their standard deviation, 0 where there is one."""
    return Scores(
        values=list(values), mean=mean(values), spread=stdev(values) if len(values) > 1 else 0.0
    )


def compare(type_: str, before: ScoresByMetric, after: ScoresByMetric) -> TaskQuality:
    """Set the scores of the compressed model against those of its base."""
    own, *others = (
        TaskScores(
            metric=metric,
            before=scores,
            after=after[metric],
            retention=METRICS[metric].retention(scores.mean, after[metric].mean),
        )
        for metric, scores in before.items()
    )
    return TaskQuality(type=type_, seeds=len(own.before.values), others=others, **dict(own))


def quality_rows(task: TaskQuality | None) -> list[Quality]:
    """Return the rows of the report's quality; a metric of which the base has nothing has none."""
    return [
        Quality(
            metric=row.metric,
            before=row.before.mean,
            after=row.after.mean,
            retention=row.retention,
        )
        for row in (task.scores.values() if task else ())
        if row.retention is not None
    ]
