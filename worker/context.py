"""The context of a job's stages: the job, its inputs, the files of earlier stages."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from app.base_models.catalog import LocatedModel, locate
from app.blobs import Blobs
from app.contract.errors import UserFault
from app.contract.events import EventData
from app.contract.points import Point, SizedPoint
from app.contract.recipe import Recipe
from app.contract.results import PlannedPoints, ResolvedBase, StageResult
from app.corpora.documents import Layout, Row, read_documents, read_rows
from app.corpora.models import Corpus
from app.db import Database
from app.disk import is_full, is_nearly_full
from app.jobs import transitions
from app.jobs.models import Job
from app.jobs.transitions import Claim
from app.room import job_size, shortage
from app.settings import Settings
from app.waits import DatabaseAwayError
from worker.compression import CompressionError, LoadedModel, Texts, load_model, training_texts
from worker.compression.progress import part
from worker.disk import DiskFullError
from worker.estimates import recovery_seconds, task_seconds
from worker.lease import CancelledError
from worker.progress import JobProgress
from worker.spare import Spare
from worker.workspace import Outputs, Workspace

log = logging.getLogger(__name__)


def device_of(settings: Settings) -> str:
    """The GPU where this machine has one that may be used, else the CPU."""
    best = "cuda" if torch.cuda.is_available() else "cpu"
    return best if settings.device == "auto" else settings.device


def to_device(model: torch.nn.Module, settings: Settings) -> None:
    """Move a model to where models run."""
    model.to(device_of(settings))


AnyResult = TypeVar("AnyResult", bound=StageResult)

StageProgress = Callable[[float, str], None]
"""Called with the fraction of the stage and a message; raises where the job is to stop."""

Shares = Callable[[float, float], dict[str, float]]
"""How long each stage usually takes, by how long the job's recovery and task do."""


@dataclass
class JobContext:
    """A claimed job with everything its stages read and write."""

    job: Job
    corpus: Corpus
    claim: Claim
    settings: Settings
    db: Database
    blobs: Blobs
    workspace: Workspace
    shares: Shares
    stage_seconds: dict[str, float] = field(default_factory=dict)
    # What an earlier attempt had of the first stage that is not done.
    partial: Outputs | None = None
    # Forked before the job began, for the self-check.
    spare: Spare | None = None
    _located: LocatedModel | None = None
    _student: tuple[int, LoadedModel] | None = None
    _final: tuple[Point, LoadedModel] | None = None

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.stored(self.job.recipe)

    @cached_property
    def task_seconds(self) -> float:
        """Seconds that the job's task usually takes; 0 without one."""
        task = self.recipe.evaluation.task
        with self.db.read() as session:
            named = task.corpora.items() if task else ()
            corpora = {part: session.get_one(Corpus, id_) for part, id_ in named}
        return task_seconds(self.recipe, corpora, device_of(self.settings))

    @cached_property
    def progress(self) -> JobProgress:
        """The progress of the whole job, as its user sees it."""

        def report(fraction: float, message: str, eta_seconds: float | None) -> None:
            try:
                transitions.report_progress(self.db, self.claim, fraction, message, eta_seconds)
            except (SQLAlchemyError, DatabaseAwayError) as error:
                # The next report tells as much; a stage need not wait for a database.
                log.warning("progress of %s is not kept: %s", self.job.id, type(error).__name__)

        most, device = self.settings.max_recovery_minutes, device_of(self.settings)
        recovery = recovery_seconds(self.recipe, self.corpus, device, most)
        return JobProgress(self.shares(recovery, self.task_seconds), report)

    @property
    def resolved(self) -> ResolvedBase:
        """The result of the stage `resolve`."""
        return self.read(ResolvedBase, "resolve", "base.json")

    def locate(self, revision: str | None) -> LocatedModel:
        """Find the base model's files, check and hash them: once in a process."""
        if self._located is None:
            self._located = locate(self.job.base_model, revision, self.settings)
        return self._located

    @property
    def base_folder(self) -> Path:
        """The folder of the base model.

        Raises `UserFault` where its files are no longer what an earlier attempt pinned.
        """
        if self._located is None:
            pinned = self.resolved
            located = self.locate(pinned.commit if pinned.source == "hub" else None)
            if located.commit != pinned.commit:
                message = f"{located.id} changed while the job ran. Submit the job again."
                raise UserFault("base_model_changed", message)
        assert self._located
        return self._located.path

    @cached_property
    def base(self) -> LoadedModel:
        """The base model and its tokenizer, loaded once in a process; not to be changed.

        Raises `UserFault` as `base_folder` does.
        """
        return load_model(self.base_folder)

    def check_room(self) -> None:
        """Raise `DiskFullError` where the disks have no room for the whole job, by estimate."""
        model = self.base.model
        weights = sum(tensor.numel() for tensor in model.parameters()) * 4
        with self.db.read() as session:
            ids = {self.corpus.id, *self.recipe.corpora}
            corpora = session.scalar(select(func.sum(Corpus.bytes)).where(Corpus.id.in_(ids)))
        size = job_size(self.recipe, weights, int(corpora or 0))
        if lacks := shortage(size, self.settings, self.blobs):
            raise DiskFullError(lacks)

    def disk_is_full(self, error: BaseException) -> bool:
        """Tell whether an error came of a full disk; not every library says so."""
        if isinstance(error, DiskFullError) or is_full(error):
            return True
        if isinstance(error, (CancelledError, UserFault, CompressionError)):
            return False
        return is_nearly_full(filter(None, (self.settings.workspaces, self.blobs.folder)))

    @property
    def points(self) -> list[Point]:
        """The models to make, in order; those of a target once its vocabularies are there."""
        if self.recipe.target:
            return [planned.point for planned in self._planned]
        return [Point(vocab_size=size) for size in self.resolved.target_vocab_sizes]

    @property
    def _planned(self) -> list[SizedPoint]:
        return self.read(PlannedPoints, "tokenizer", "points.json").root

    def runtimes(self, point: Point) -> list[str]:
        """Return the runtimes to export the model of a point for, each after what it requires."""
        if not self.recipe.target:
            return self.recipe.runtimes
        [files] = (planned.files for planned in self._planned if planned.point == point)
        return self.recipe.runtimes_with(files)

    @property
    def vocab_sizes(self) -> list[int]:
        """The number of tokens of each vocabulary, which several points may have."""
        return list(dict.fromkeys(point.vocab_size for point in self.points))

    def keep_student(self, size: int, student: LoadedModel) -> None:
        """Keep a transferred model in memory for its recovery, where it is the only one."""
        if len(self.points) == 1:
            self._student = size, student

    def take_student(self, size: int) -> LoadedModel:
        """Return the transferred model of this many tokens, which its recovery may change."""
        kept, self._student = self._student, None
        if kept and kept[0] == size:
            return kept[1]
        return load_model(self.output("transfer", str(size)))

    def final(self, point: Point) -> LoadedModel:
        """Load the model of a point from its files, as it goes to its user.

        The newest one is kept in memory: with one point, the stages share it.
        """
        if self._final is None or self._final[0] != point:
            self._final = None  # before the next one takes its memory
            self._final = point, load_model(self.final_folder(point))
        return self._final[1]

    @cached_property
    def corpus_file(self) -> Path:
        """The uploaded file, in this worker's own folder."""
        file = self.workspace.root / "input" / "corpus"
        if not file.exists():
            self.blobs.fetch(self.corpus.blob_key, file)
        return file

    def training_texts(self) -> Texts:
        """Return the stream of the documents that are not held out."""
        recipe = self.recipe
        return training_texts(self.documents, recipe.evaluation.holdout_fraction, recipe.seed)

    def documents(self) -> Iterator[str]:
        """The corpus from its start, document by document."""
        with self.corpus_file.open("rb") as file:
            yield from read_documents(file, self.corpus.layout)

    def rows(self, name: str, corpus_id: str) -> Iterator[tuple[int, Row]]:
        """The objects of another corpus with the numbers of their lines; `name` is our own."""
        path, layout = self._other_corpus(name, corpus_id)
        with path.open("rb") as file:
            yield from read_rows(file, layout)

    def other_texts(self, name: str, corpus_id: str) -> Texts:
        """Return the stream of another corpus to train on; `name` is our own.

        A document that is held out of this job's corpus is left out of it too.
        """
        recipe, stream = self.recipe, partial(self.other_documents, name, corpus_id)
        return training_texts(stream, recipe.evaluation.holdout_fraction, recipe.seed)

    def other_documents(self, name: str, corpus_id: str) -> Iterator[str]:
        """Another corpus from its start, document by document; `name` is our own."""
        path, layout = self._other_corpus(name, corpus_id)
        with path.open("rb") as file:
            yield from read_documents(file, layout)

    def _other_corpus(self, name: str, corpus_id: str) -> tuple[Path, Layout]:
        with self.db.read() as session:
            corpus = session.get_one(Corpus, corpus_id)
        path = self.workspace.root / "input" / name
        if not path.exists():
            self.blobs.fetch(corpus.blob_key, path)
        return path, corpus.layout

    def final_folder(self, point: Point) -> Path:
        """Return the folder of the model of a point, as it goes to its user."""
        return self.output("recover", point.key)

    def exported_folder(self, point: Point) -> Path:
        """Return the folder of what was exported of it; there is none where nothing was."""
        return self.output("export", point.key)

    def output(self, stage: str, name: str) -> Path:
        """Return a file or folder that an earlier stage left."""
        return self.workspace.root / stage / name

    def read(self, kind: type[AnyResult], stage: str, name: str) -> AnyResult:
        """Read what an earlier stage left; raises FileNotFoundError."""
        return kind.load(self.output(stage, name))

    def keep_partial(self, stage: str) -> None:
        """Keep the folder of a stage as it is amid it: a later attempt starts with these files."""
        outputs = self.workspace.save_partial(stage)
        transitions.keep_partial(self.db, self.claim, stage, outputs)
        self.workspace.drop_partials(stage, but=outputs)

    def tell(self, event: EventData) -> None:
        """Add an event to the job's."""
        transitions.tell(self.db, self.claim, event)


def load_context(
    claim: Claim, settings: Settings, db: Database, blobs: Blobs, shares: Shares
) -> JobContext:
    """Read a job as it was submitted."""
    with db.read() as session:
        job = session.get_one(Job, claim.job_id)
        corpus = session.get_one(Corpus, job.corpus_id)
    workspace = Workspace(settings.workspaces, blobs, job.blob_prefix, job.id, claim.token)
    return JobContext(job, corpus, claim, settings, db, blobs, workspace, shares)


def nth_part(progress: StageProgress, number: int, parts: int) -> StageProgress:
    """The progress of one of several equal parts, as progress of the stage."""
    return part(progress, number / parts, (number + 1) / parts)
