"""Every change of a job's state: one compare-and-set each, with the event that tells of it.

A worker writes only through its `Claim`: an update that carries a fencing token which is no longer
the newest changes no row and raises `LeaseLostError`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy.orm import Session

from app.contract.errors import JobError
from app.contract.events import (
    EVENTS,
    EventData,
    JobCancelling,
    JobProgress,
    JobQueued,
    JobRetrying,
    JobStarted,
    StageFinished,
    StageStarted,
)
from app.contract.states import TRANSITIONS, Status
from app.db import Database, now
from app.jobs.models import WAITING, Job, JobEvent, StageCheckpoint
from app.waits import retried

DISPATCH_AGAIN_FIRST = timedelta(seconds=30)
DISPATCH_AGAIN_LAST = timedelta(minutes=5)
RETRY_FIRST = timedelta(seconds=10)
RETRY_LAST = timedelta(minutes=10)
HELD = (Status.RUNNING, Status.CANCELLING)


WORKER_LOST = JobError(
    type="system",
    code="worker_lost",
    message="The worker stopped in the middle of the job, at every attempt. Submit the job again; "
    "if it happens again, the model or the corpus may be too large for the worker's memory.",
    retryable=True,
)
WORKER_STOPPED = JobError(
    type="system",
    code="worker_stopped",
    message="The worker was told to stop. The next one goes on where this one was.",
    retryable=True,
)


class LeaseLostError(Exception):
    """Another worker holds the job now, or it ended: stop, and write nothing more."""


@dataclass(frozen=True)
class Claim:
    """A worker's right to write to a job until its lease ends."""

    job_id: str
    token: int
    attempt: int
    worker: str


def add_event(session: Session, job_id: str, event: EventData) -> None:
    """Tell of something within the transaction that makes it true."""
    session.add(JobEvent(job_id=job_id, type=event.type, data=event.model_dump(mode="json")))


def submit(session: Session, job: Job) -> None:
    """Queue a new job; being due, its message is sent after the commit."""
    session.add(job)
    session.flush()
    add_event(session, job.id, JobQueued())


@retried
def waits(db: Database, job_id: str) -> bool:
    """Tell whether a job seems to wait for a worker; only a claim finds out for sure."""
    with db.read() as session:
        job = session.get(Job, job_id)
        return job is not None and job.status == Status.QUEUED


@retried
def claim(db: Database, job_id: str, worker: str, lease: timedelta) -> Claim | None:
    """Take a queued job; None where it is no longer queued."""
    with db.write() as session:
        job = session.get(Job, job_id, with_for_update=True)
        if job is None or job.status != Status.QUEUED:
            return None
        taken = Claim(job_id, job.fencing_token + 1, job.attempt + 1, worker)
        _move(
            session,
            job,
            Status.RUNNING,
            fencing_token=taken.token,
            attempt=taken.attempt,
            worker=worker,
            message="starting",
            started_at=job.started_at or now(),
            due_at=now() + lease,
        )
        add_event(session, job_id, JobStarted(attempt=taken.attempt, worker=worker))
        return taken


@retried
def renew(db: Database, claim: Claim, lease: timedelta) -> Status:
    """Prolong the lease; returns the status, so that a worker sees that it is to stop."""
    with db.write() as session:
        return Status(_fenced(session, claim, due_at=now() + lease).status)


def look(db: Database, claim: Claim) -> Status:
    """Return the status of a claimed job, which may have ended by this claim; change nothing."""
    with db.read() as session:
        job = session.get(Job, claim.job_id)
        if job is None or job.fencing_token != claim.token or job.status == Status.QUEUED:
            raise LeaseLostError(claim.job_id)
        return Status(job.status)


@retried
def start_stage(db: Database, claim: Claim, stage: str, fraction: float) -> None:
    """Say that a stage begins, at this fraction of the whole job."""
    with db.write() as session:
        _fenced(session, claim, stage=stage, fraction=fraction, message=stage)
        add_event(session, claim.job_id, StageStarted(stage=stage))


def report_progress(
    db: Database, claim: Claim, fraction: float, message: str, eta_seconds: float | None
) -> None:
    """Move the job's progress; `fraction` is of the whole job."""
    with db.write() as session:
        _fenced(session, claim, fraction=fraction, message=message, eta_seconds=eta_seconds)
        progress = JobProgress(fraction=fraction, message=message, eta_seconds=eta_seconds)
        add_event(session, claim.job_id, progress)


def partial_name(stage: str) -> str:
    """Under which name what there is of an unfinished stage is kept."""
    return f"{stage}.partial"


@retried
def keep_partial(db: Database, claim: Claim, stage: str, outputs: Mapping[str, Any]) -> None:
    """Keep what a stage has so far: a later attempt begins the stage with these files."""
    with db.write() as session:
        _fenced(session, claim)
        name = partial_name(stage)
        part = StageCheckpoint(job_id=claim.job_id, stage=name, seconds=0.0, outputs=dict(outputs))
        session.merge(part)


@retried
def tell(db: Database, claim: Claim, event: EventData) -> None:
    """Add an event that changes nothing of the job."""
    with db.write() as session:
        _fenced(session, claim)
        add_event(session, claim.job_id, event)


@retried
def finish_stage(
    db: Database, claim: Claim, stage: str, seconds: float, outputs: Mapping[str, Any]
) -> None:
    """Keep a checkpoint: a later attempt skips this stage and finds its files."""
    with db.write() as session:
        _fenced(session, claim)
        done = StageCheckpoint(
            job_id=claim.job_id, stage=stage, seconds=seconds, outputs=dict(outputs)
        )
        session.merge(done)
        if partial := session.get(StageCheckpoint, (claim.job_id, partial_name(stage))):
            session.delete(partial)
        finished = StageFinished(stage=stage, seconds=round(seconds, 3))
        add_event(session, claim.job_id, finished)


@retried
def succeed(db: Database, claim: Claim, result: dict[str, Any], artifact: dict[str, Any]) -> Status:
    """End a job well; a cancellation that came first wins. Returns the status it ended in."""
    values = {"result": result, "artifact": artifact, "fraction": 1.0, "message": "done"}
    return _end_claimed(db, claim, Status.SUCCEEDED, **values)


@retried
def fail(db: Database, /, claim: Claim, error: JobError, **kept: dict[str, Any]) -> Status:
    """End a job that cannot succeed as it is; a cancellation that came first wins.

    A job that did its work and did not reach what was asked keeps its `result` and `artifact`.
    """
    return _end_claimed(db, claim, Status.FAILED, error=error.model_dump(), **kept)


@retried
def cancelled(db: Database, claim: Claim) -> Status:
    """Acknowledge a cancellation: the worker has stopped."""
    return _end_claimed(db, claim, Status.CANCELLED)


@retried
def hand_back(db: Database, claim: Claim, error: JobError, delay: timedelta) -> Status:
    """Queue a job again after a fault of ours; after its last attempt it fails instead."""
    with db.write() as session:
        return _requeue(session, _fenced(session, claim), error, delay)


@retried
def release(db: Database, claim: Claim) -> Status:
    """Queue a job at once whose worker is told to stop; the attempt does not count."""
    with db.write() as session:
        job = _fenced(session, claim)
        if job.status == Status.RUNNING:
            job = _fenced(session, claim, attempt=claim.attempt - 1)
        return _requeue(session, job, WORKER_STOPPED, timedelta())


def retry_delay(attempt: int) -> timedelta:
    """Draw how long a job waits after its nth attempt failed: twice as long each time, roughly."""
    longest: timedelta = min(RETRY_FIRST * 2.0 ** min(attempt - 1, 16), RETRY_LAST)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311


def request_cancel(session: Session, job: Job) -> None:
    """Cancel a queued job at once, ask the worker of a running one to stop; else do nothing."""
    session.refresh(job, with_for_update=True)
    if job.status == Status.QUEUED:
        _end(session, job, Status.CANCELLED)
    elif job.status == Status.RUNNING:
        _move(session, job, Status.CANCELLING, message="stopping")
        add_event(session, job.id, JobCancelling())
    session.refresh(job)


def lapsed(db: Database, limit: int = 100) -> list[str]:
    """Return the jobs whose lease has ended, longest first."""
    with db.read() as session:
        query = select(Job.id).where(Job.due_at <= now(), Job.status.in_(HELD))
        return list(session.scalars(query.order_by(Job.due_at).limit(limit)))


@retried
def expire(db: Database, job_id: str) -> bool:
    """Queue a job again whose worker let the lease end; returns whether it waits for a worker."""
    with db.write() as session:
        job = session.get(Job, job_id, with_for_update=True)
        if job and job.status in HELD and job.due_at and job.due_at <= now():
            return _requeue(session, job, WORKER_LOST, timedelta()) == Status.QUEUED
        return job is not None and job.status == Status.QUEUED


def due(db: Database, limit: int = 100) -> list[str]:
    """Return the queued jobs that a worker must be told of now, longest due first."""
    with db.read() as session:
        query = select(Job.id).where(*_is_due()).order_by(Job.due_at).limit(limit)
        return list(session.scalars(query))


@retried
def take_due(db: Database, limit: int = 100) -> list[str]:
    """Take it on to tell a worker of the jobs that are due; what one caller takes no other gets.

    Each is due again later, to be told of until a worker claims it.
    """
    # Most rounds find nothing, and need no lock for it.
    if not due(db, 1):
        return []
    with db.write() as session:
        query = select(Job.id).where(*_is_due()).order_by(Job.due_at).limit(limit)
        taken = list(session.scalars(query.with_for_update(skip_locked=True)))
        return [job_id for job_id in taken if _put_off(session, job_id)]


@retried
def give_up(db: Database, job_ids: Sequence[str]) -> None:
    """Make jobs due again that were taken, and that no worker could be told of."""
    with db.write() as session:
        waiting = (Job.id.in_(job_ids), Job.status == Status.QUEUED)
        session.execute(update(Job).where(*waiting).values(due_at=now()))


def _is_due() -> tuple[ColumnElement[bool], ...]:
    return Job.due_at <= now(), Job.status == Status.QUEUED


def _put_off(session: Session, job_id: str) -> bool:
    created_at = session.scalar(select(Job.created_at).where(Job.id == job_id))
    if created_at is None:
        return False
    wait = min(max(DISPATCH_AGAIN_FIRST, now() - created_at), DISPATCH_AGAIN_LAST)
    return _update(session, Job.id == job_id, *_is_due(), due_at=now() + wait)


def _requeue(session: Session, job: Job, error: JobError, delay: timedelta) -> Status:
    if job.status == Status.CANCELLING:
        return _end(session, job, Status.CANCELLED)
    if job.attempt >= job.max_attempts:
        return _end(session, job, Status.FAILED, error=error.model_dump())
    again = {"worker": None, "message": WAITING, "eta_seconds": None, "due_at": now() + delay}
    _move(session, job, Status.QUEUED, **again)
    add_event(session, job.id, JobRetrying(error=error))
    return Status.QUEUED


def _end_claimed(db: Database, claim: Claim, target: Status, **values: Any) -> Status:
    with db.write() as session:
        job = _fenced(session, claim)
        if job.status == Status.CANCELLING:
            return _end(session, job, Status.CANCELLED)
        return _end(session, job, target, **values)


def _end(session: Session, job: Job, target: Status, **values: Any) -> Status:
    ended = {"finished_at": now(), "due_at": None, "eta_seconds": None, "message": target.value}
    _move(session, job, target, **{**ended, **values})
    error = values.get("error")
    ending = EVENTS[f"job.{target}"]
    add_event(session, job.id, ending(error=error) if error else ending())
    return target


def _move(session: Session, job: Job, target: Status, **values: Any) -> None:
    """Change the status along the table, from what `job` was read as."""
    where = (Job.id == job.id, Job.fencing_token == job.fencing_token, Job.status == job.status)
    allowed = target in TRANSITIONS[Status(job.status)]
    if not allowed or not _update(session, *where, status=target, **values):
        raise LeaseLostError(job.id)


def _fenced(session: Session, claim: Claim, **values: Any) -> Job:
    where = (Job.id == claim.job_id, Job.fencing_token == claim.token, Job.status.in_(HELD))
    if not _update(session, *where, **{"worker": claim.worker, **values}):
        raise LeaseLostError(claim.job_id)
    return session.get_one(Job, claim.job_id, populate_existing=True)


def _update(session: Session, *where: ColumnElement[bool], **values: Any) -> bool:
    statement = update(Job).where(*where).values(**values)
    statement = statement.execution_options(synchronize_session=False)
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
