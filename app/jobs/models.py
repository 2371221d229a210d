"""The tables of jobs: the job itself, its events, its finished stages."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, Integer, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.contract.recipe import TASKS, RecoveryRecipe
from app.contract.states import ACTIVE, Status
from app.db import Base, now
from app.ids import new_id

WAITING = "waiting for a worker"

Sequence = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up by itself only in a column of type INTEGER."""


class Job(Base):
    """A compression job: the truth about it. Only `app.jobs.transitions` changes one.

    Each claim raises `fencing_token`; whoever holds the newest is the one writer.
    `due_at` is when a worker must be told of the job (again): while it is queued at once, while it
    runs when its lease ends, afterwards never. It is the outbox and the lease in one column.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_due_at", "due_at"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("job"))
    name: Mapped[str | None]
    base_model: Mapped[str]
    revision: Mapped[str | None]
    corpus_id: Mapped[str] = mapped_column(index=True)
    recipe: Mapped[dict[str, Any]]
    labels: Mapped[dict[str, Any]] = mapped_column("metadata")

    status: Mapped[str] = mapped_column(default=Status.QUEUED)
    stage: Mapped[str | None]
    fraction: Mapped[float] = mapped_column(default=0.0)
    message: Mapped[str] = mapped_column(default=WAITING)
    eta_seconds: Mapped[float | None]
    error: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    artifact: Mapped[dict[str, Any] | None]
    # From then on the result is not given out; its files go a while later.
    artifact_expired_at: Mapped[datetime | None]

    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    fencing_token: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None]
    due_at: Mapped[datetime | None] = mapped_column(default=now)

    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    # Since then nothing of it is in storage but its result: no need to look there again.
    freed_at: Mapped[datetime | None]

    @property
    def blob_prefix(self) -> str:
        return self.prefix_of(self.id)

    @staticmethod
    def prefix_of(job_id: str) -> str:
        """Return what the keys of all files of a job begin with."""
        return f"jobs/{job_id}"


def reads(corpus_id: str) -> ColumnElement[bool]:
    """Return a condition: the job reads a corpus, as its own or as another of its recipe."""
    names = {name for task in TASKS.values() for name in task.data}
    paths: list[tuple[str, ...]] = [("evaluation", "task", name) for name in sorted(names)]
    paths += [("recovery", name) for name in RecoveryRecipe.data]
    named = (Job.recipe[path].as_string() for path in paths)
    return or_(Job.corpus_id == corpus_id, *(value == corpus_id for value in named))


def find_corpus_reader(session: Session, corpus_id: str) -> str | None:
    """Return the id of a job that has not ended and reads a corpus, or None."""
    query = select(Job.id).where(reads(corpus_id), Job.status.in_(ACTIVE)).limit(1)
    return session.scalar(query)


class JobEvent(Base):
    """Something that happened to a job; `sequence` rises over all jobs."""

    __tablename__ = "job_events"

    sequence: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    type: Mapped[str]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class StageCheckpoint(Base):
    """A stage that is done, and the files it left: key in blob storage by path in the workspace."""

    __tablename__ = "stage_checkpoints"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    seconds: Mapped[float]
    outputs: Mapped[dict[str, Any]]
    finished_at: Mapped[datetime] = mapped_column(default=now)


class IdempotencyKey(Base):
    """A key that a client gave with a submission, and what came of it."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str]
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
