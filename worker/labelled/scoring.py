"""A task with its data in hand, and the score of a model on it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.contract.points import Point
from app.contract.recipe import (
    FineTuning,
    Retrieval,
    SentencePairs,
    SequenceClassification,
    Task,
    TokenClassification,
)
from app.contract.report import TaskQuality
from app.contract.results import EvaluatedSize
from worker.compression import LoadedModel, compare, exported_files, quality_rows
from worker.compression.evaluation.tasks.fine_tuning import FineTuningConfig
from worker.compression.evaluation.tasks.scores import (
    Figures,
    Score,
    ScoresByMetric,
    score_all,
    summarize,
)
from worker.compression.evaluation.tasks.sequence_classification import classification_scores
from worker.compression.evaluation.tasks.token_classification import tagging_scores
from worker.compression.evaluation.tasks.vectors import Index, pair_scores, retrieval_scores
from worker.compression.models.encoder import Encoder
from worker.compression.runtimes import RUNTIMES
from worker.context import JobContext, StageProgress, nth_part, to_device
from worker.labelled.data import (
    LabelledRow,
    Rows,
    read_pairs,
    read_retrieval,
    read_sentences,
    read_texts,
)

VectorScore = Callable[[Encoder, StageProgress], Figures]
"""The score of a model that is not trained for it, in any runtime."""


@dataclass(frozen=True)
class LabelledTask:
    """A task that all models are scored on, with the same seeds and settings."""

    type: str
    metric: str
    score: Score
    seeds: Sequence[int]

    def scores(self, loaded: LoadedModel, name: str, progress: StageProgress) -> ScoresByMetric:
        """Score a model once a seed; `name` says in the progress which it is."""
        return score_all(self.score, loaded, self.seeds, self._named(name, progress))

    def compared(self, before: ScoresByMetric, after: ScoresByMetric) -> TaskQuality:
        """The scores of base and compressed model side by side."""
        return compare(self.type, before, after)

    def _named(self, name: str, progress: StageProgress) -> StageProgress:
        return lambda fraction, said: progress(fraction, f"{self.metric} of {name}: {said}")


@dataclass(frozen=True)
class VectorTask(LabelledTask):
    """A task that is done without training, so by files of other runtimes too."""

    of_vectors: VectorScore

    def file_scores(self, encoder: Encoder, name: str, progress: StageProgress) -> ScoresByMetric:
        """Score a file."""
        return summarize([self.of_vectors(encoder, self._named(name, progress))])


def read_task(context: JobContext, progress: StageProgress) -> LabelledTask | None:
    """Read and check the data of the job's task; None without one.

    Raises `UserFault` and `TaskDataError`, both `task_data_invalid`, which say what to do.
    """
    task, seed = context.recipe.evaluation.task, context.recipe.seed
    if task is None:
        return None
    rows = labelled_rows(context, task, progress)
    if isinstance(task, FineTuning):
        seeds = range(seed, seed + task.seeds)
        return LabelledTask(task.type, task.metric, _fine_tuned(task, rows), seeds)
    of_vectors = _of_vectors(task, rows)

    def score(loaded: LoadedModel, _: int, own: StageProgress) -> Figures:
        return of_vectors(Encoder(loaded), own)

    return VectorTask(task.type, task.metric, score, [seed], of_vectors)


def labelled_rows(context: JobContext, task: Task, progress: StageProgress) -> Rows:
    """Return what reads the rows of a part of a task."""

    def rows(part: str) -> Iterator[LabelledRow]:
        for number, (line, values) in enumerate(context.rows(part, task.corpora[part])):
            if number % 10_000 == 0:
                progress(0.0, f"reading `{part}` of the task, row {number:,}")
            yield LabelledRow(part, line, values)

    return rows


def _fine_tuned(task: SequenceClassification | TokenClassification, rows: Rows) -> Score:
    protocol = FineTuningConfig(
        epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        max_length=task.max_length,
    )
    if isinstance(task, SequenceClassification):
        texts = read_texts(task, rows)
        return lambda loaded, seed, progress: classification_scores(
            loaded, *texts, seed=seed, protocol=protocol, progress=progress
        )
    sentences = read_sentences(task, rows)
    return lambda loaded, seed, progress: tagging_scores(
        loaded, *sentences, seed=seed, protocol=protocol, progress=progress
    )


def _of_vectors(task: Retrieval | SentencePairs, rows: Rows) -> VectorScore:
    if isinstance(task, Retrieval):
        found = read_retrieval(task, rows)
        # The base is scored first, and its vectors of the documents stay for all other models.
        index = Index()
        return lambda encoder, progress: retrieval_scores(encoder, *found, progress, index=index)
    pairs = read_pairs(task, rows)
    return lambda encoder, progress: pair_scores(encoder, pairs, progress)


@dataclass(frozen=True)
class ScoredSize:
    """The task on the model of a size, and on what was exported of it, by runtime."""

    task: TaskQuality
    exports: dict[str, TaskQuality]

    def added_to(self, measured: EvaluatedSize) -> EvaluatedSize:
        """Return what was measured of the size with its task, whose metric comes first."""
        exports = [
            export.model_copy(
                update={
                    "quality": [*quality_rows(self.exports.get(export.runtime)), *export.quality]
                }
            )
            for export in measured.exports
        ]
        quality = [*quality_rows(self.task), *measured.quality]
        return measured.model_copy(
            update={"task": self.task, "quality": quality, "exports": exports}
        )


def score_points(
    context: JobContext, points: Sequence[Point], progress: StageProgress
) -> dict[Point, ScoredSize]:
    """Score the base once and each point once, with the same seeds; empty without a task."""
    task = read_task(context, progress)
    if task is None:
        return {}
    runs = len(points) + 1
    before = task.scores(context.base, "the base", nth_part(progress, 0, runs))
    return {
        point: _score_point(context, task, before, point, nth_part(progress, number, runs))
        for number, point in enumerate(points, 1)
    }


def _score_point(
    context: JobContext,
    task: LabelledTask,
    before: ScoresByMetric,
    point: Point,
    progress: StageProgress,
) -> ScoredSize:
    compressed, folder = context.final(point), context.exported_folder(point)
    to_device(compressed.model, context.settings)
    files = exported_files(folder) if isinstance(task, VectorTask) else []
    runs = 1 + len(files)
    after = task.scores(compressed, point.label, nth_part(progress, 0, runs))
    exports = dict[str, TaskQuality]()
    for number, file in enumerate(files, 1):
        assert isinstance(task, VectorTask)
        encoder = RUNTIMES[file.runtime].encoder(compressed, folder / file.path)
        scores = task.file_scores(encoder, file.path, nth_part(progress, number, runs))
        exports[file.runtime] = task.compared(before, scores)
    return ScoredSize(task.compared(before, after), exports)
