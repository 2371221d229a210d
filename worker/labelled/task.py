"""A task with its data in hand, and the score of a model on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.jobs.recipe import (
    FineTuning,
    Retrieval,
    SequenceClassification,
    Task,
    TokenClassification,
)
from worker.compression import LoadedModel, Scores, TaskQuality, compare
from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.tasks.classification import classification_score
from worker.compression.evaluation.tasks.finetuning import Protocol
from worker.compression.evaluation.tasks.pairs import pair_score
from worker.compression.evaluation.tasks.retrieval import retrieval_score
from worker.compression.evaluation.tasks.scores import Score, score_all
from worker.compression.evaluation.tasks.tagging import tagging_score
from worker.context import JobContext, StageProgress
from worker.labelled.data import Rows, read_pairs, read_retrieval, read_sentences, read_texts
from worker.labelled.rows import LabelledRow


@dataclass(frozen=True)
class LabelledTask:
    """What a model is scored on: all of them with the same seeds and the same protocol."""

    type: str
    metric: str
    score: Score
    seeds: Sequence[int]

    def scores(self, loaded: LoadedModel, name: str, progress: StageProgress) -> Scores:
        """Score a model once a seed; `name` says in the progress which it is."""

        def named(fraction: float, message: str) -> None:
            progress(fraction, f"{self.metric} of {name}: {message}")

        return score_all(self.score, loaded, self.seeds, named)

    def compared(self, before: Scores, after: Scores) -> TaskQuality:
        """The scores of base and compressed model side by side."""
        return compare(self.type, self.metric, before, after)


def read_task(context: JobContext, progress: StageProgress) -> LabelledTask | None:
    """Read and check the data of the job's task; None without one.

    Raises `UserFault` and `TaskDataError`, both `task_data_invalid`, which say what to do.
    """
    task = context.recipe.evaluation.task
    if task is None:
        return None
    score = _score(task, _rows(context, task, progress))
    runs = task.seeds if isinstance(task, FineTuning) else 1
    first = context.recipe.seed
    return LabelledTask(task.type, task.metric, score, range(first, first + runs))


def _rows(context: JobContext, task: Task, progress: StageProgress) -> Rows:
    def rows(part: str) -> Iterator[LabelledRow]:
        for number, (line, values) in enumerate(context.rows(part, task.corpora[part])):
            if number % 10_000 == 0:
                progress(0.0, f"reading `{part}` of the task, row {number:,}")
            yield LabelledRow(part, line, values)

    return rows


def _score(task: Task, rows: Rows) -> Score:
    if isinstance(task, SequenceClassification):
        texts, protocol = read_texts(task, rows), _protocol(task)
        return lambda loaded, seed, progress: classification_score(
            loaded, *texts, seed=seed, protocol=protocol, progress=progress
        )
    if isinstance(task, TokenClassification):
        sentences, protocol = read_sentences(task, rows), _protocol(task)
        return lambda loaded, seed, progress: tagging_score(
            loaded, *sentences, seed=seed, protocol=protocol, progress=progress
        )
    if isinstance(task, Retrieval):
        found = read_retrieval(task, rows)
        return lambda loaded, _, progress: retrieval_score(Encoder(loaded), *found, progress)
    pairs = read_pairs(task, rows)
    return lambda loaded, _, progress: pair_score(Encoder(loaded), pairs, progress)


def _protocol(task: FineTuning) -> Protocol:
    return Protocol(
        epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        max_length=task.max_length,
    )
