"""A task with its data in hand, and the score of a model and of its files on it."""

import tempfile
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from app.contract.names import RUNTIMES as NAMES
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
from worker.compression import LoadedModel, Texts, compare, exported_files, quality_rows
from worker.compression.evaluation.tasks.exported import score_files
from worker.compression.evaluation.tasks.fine_tuning import (
    FineTuned,
    FineTuningConfig,
    fine_tuned_scores,
)
from worker.compression.evaluation.tasks.scores import (
    Figures,
    Score,
    ScoresByMetric,
    score_all,
    summarize,
)
from worker.compression.evaluation.tasks.sequence_classification import fine_tuned_classifier
from worker.compression.evaluation.tasks.token_classification import fine_tuned_tagger
from worker.compression.evaluation.tasks.vectors import Index, pair_scores, retrieval_scores
from worker.compression.models.encoder import Encoder
from worker.compression.progress import part
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
class SizeScores:
    """The scores of a model, and of what was exported of it by runtime.

    `unscored` says of the other runtimes why they have none.
    """

    model: ScoresByMetric
    files: dict[str, ScoresByMetric] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledTask(ABC):
    """A task that all models are scored on, with the same seeds and settings."""

    type: str
    metric: str
    score: Score
    seeds: Sequence[int]

    def scores(self, loaded: LoadedModel, name: str, progress: StageProgress) -> ScoresByMetric:
        """Score a model once a seed; `name` says in the progress which it is."""
        return score_all(self.score, loaded, self.seeds, self._named(name, progress))

    @abstractmethod
    def size_scores(
        self, loaded: LoadedModel, exported: Path, name: str, progress: StageProgress
    ) -> SizeScores:
        """Score a compressed model, and the files of it in the folder `exported`."""

    def compared(self, before: ScoresByMetric, after: ScoresByMetric) -> TaskQuality:
        """The scores of base and compressed model side by side."""
        return compare(self.type, before, after)

    def _named(self, name: str, progress: StageProgress) -> StageProgress:
        return lambda fraction, said: progress(fraction, f"{self.metric} of {name}: {said}")


@dataclass(frozen=True)
class VectorTask(LabelledTask):
    """A task that is done without training, so by files of other runtimes as they are."""

    of_vectors: VectorScore

    def size_scores(
        self, loaded: LoadedModel, exported: Path, name: str, progress: StageProgress
    ) -> SizeScores:
        files = exported_files(exported)
        runs = 1 + len(files)
        found = SizeScores(self.scores(loaded, name, nth_part(progress, 0, runs)))
        for number, file in enumerate(files, 1):
            own = self._named(file.path, nth_part(progress, number, runs))
            encoder = RUNTIMES[file.runtime].encoder(loaded, exported / file.path)
            found.files[file.runtime] = summarize([self.of_vectors(encoder, own)])
        return found


@dataclass(frozen=True)
class FineTunedTask(LabelledTask):
    """A task that a model is fine-tuned for; what then has learnt it is exported, head included.

    `tune` takes a model, `seed`, `protocol` and `progress`. `rows` are those of train and test.
    """

    tune: Callable[..., FineTuned]
    protocol: FineTuningConfig
    rows: tuple[int, int]
    texts: Texts
    """To calibrate files on."""

    def size_scores(
        self, loaded: LoadedModel, exported: Path, name: str, progress: StageProgress
    ) -> SizeScores:
        files = [file.runtime for file in exported_files(exported)]
        # A vector a token has no head.
        runtimes = [runtime for runtime in files if not NAMES[runtime].is_static]
        if not runtimes:
            return SizeScores(self.scores(loaded, name, progress))
        runs, left_out = defaultdict[str, list[Figures]](list), dict[str, str]()
        after = list[Figures]()
        for number, seed in enumerate(self.seeds):
            own = self._named(name, nth_part(progress, number, len(self.seeds)))
            tuned, rest = self._tuned(loaded, seed, runtimes, own)
            after.append(tuned.score(tuned.logits, nth_part(rest, 0, 1 + len(runtimes))))
            # In the job's own folder, which goes with it even where its process is killed.
            with tempfile.TemporaryDirectory(prefix="fine-tuned-") as folder:
                scored = score_files(
                    tuned,
                    runtimes,
                    Path(folder),
                    part(rest, 1 / (1 + len(runtimes)), 1.0),
                    texts=self.texts,
                    seed=seed,
                    left_out=left_out,
                )
            for runtime, of_file in scored.items():
                runs[runtime].append(of_file.figures)
        # A mean of some of the seeds is not to be set against one of all.
        found = {name: summarize(of) for name, of in runs.items() if name not in left_out}
        return SizeScores(summarize(after), found, left_out)

    def _tuned(
        self, loaded: LoadedModel, seed: int, runtimes: Sequence[str], progress: StageProgress
    ) -> tuple[FineTuned, StageProgress]:
        """Fine-tune a model once for itself and its files; returns it and what is left to score."""
        train, test = self.rows
        protocol = self.protocol.for_files(runtimes)
        share = protocol.learning_share(train, (1 + len(runtimes)) * test)
        learning, rest = part(progress, 0.0, share), part(progress, share, 1.0)
        return self.tune(loaded, seed=seed, protocol=protocol, progress=learning), rest


def read_task(context: JobContext, progress: StageProgress) -> LabelledTask | None:
    """Read and check the data of the job's task; None without one.

    Raises `UserFault` and `TaskDataError`, both `task_data_invalid`, which say what to do.
    """
    task, seed = context.recipe.evaluation.task, context.recipe.seed
    if task is None:
        return None
    rows = labelled_rows(context, task, progress)
    if isinstance(task, FineTuning):
        return _fine_tuned(task, rows, range(seed, seed + task.seeds), context.training_texts())
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


def _fine_tuned(
    task: SequenceClassification | TokenClassification,
    rows: Rows,
    seeds: Sequence[int],
    texts: Texts,
) -> FineTunedTask:
    protocol = FineTuningConfig(
        epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        max_length=task.max_length,
    )
    tune: Callable[..., FineTuned]
    if isinstance(task, SequenceClassification):
        parts: Sequence[Sequence[Any]] = read_texts(task, rows)
        tune = fine_tuned_classifier
    else:
        parts, tune = read_sentences(task, rows), fine_tuned_tagger
    train, test = parts

    def score(loaded: LoadedModel, seed: int, progress: StageProgress) -> Figures:
        return fine_tuned_scores(
            tune, loaded, train, test, seed=seed, protocol=protocol, progress=progress
        )

    return FineTunedTask(
        task.type,
        task.metric,
        score,
        seeds,
        partial(tune, train=train, test=test),
        protocol,
        (len(train), len(test)),
        texts,
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
    """The task on the model of a size, and on what was exported of it, by runtime.

    `unscored` says why a file has no score.
    """

    task: TaskQuality
    exports: dict[str, TaskQuality]
    unscored: dict[str, str]

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
            update={
                "task": self.task,
                "quality": quality,
                "exports": exports,
                "unscored": self.unscored,
            }
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
    compressed = context.final(point)
    to_device(compressed.model, context.settings)
    folder = context.exported_folder(point)
    scores = task.size_scores(compressed, folder, point.label, progress)
    exports = {runtime: task.compared(before, after) for runtime, after in scores.files.items()}
    return ScoredSize(task.compared(before, scores.model), exports, scores.unscored)
