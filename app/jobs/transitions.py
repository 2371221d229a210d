"""Every change of a job's state: one compare-and-set each, with the event that tells of it.

A worker writes only through its `Claim`: an update that carries a fencing token which is no longer
the newest changes no row and raises `LeaseLostError`.
"""

from collections.abc import Mapping
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
HELD = (Status.RUNNING, Status.CANCELLING)


WORKER_LOST = JobError(
    type="system",
    code="worker_lost",
    message="The worker stopped in the middle of the job, at every attempt. Submit the job again; "
    "if it happens again, the model or the corpus may be too large for the worker's memory.",
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


def request_cancel(session: Session, job: Job) -> None:
    """Cancel a queued job at once, ask the worker of a running one to stop; else do nothing."""
    session.refresh(job, with_for_update=True)
    if job.status == Status.QUEUED:
        _end(session, job, Status.CANCELLED)
    elif job.status == Status.RUNNING:
        _move(session, job, Status.CANCELLING, message="stopping")
        add_event(session, job.id, JobCancelling())
    session.refresh(job)


def due(db: Database, limit: int = 100) -> list[str]:
    """The jobs to look at now: first those whose lease ended, then those a worker must be told of.

    Among each, longest due first: what waits for a broker that is away hides no lease.
    """
    order = (Job.status == Status.QUEUED, Job.due_at)
    with db.read() as session:
        query = select(Job.id).where(Job.due_at <= now()).order_by(*order).limit(limit)
        return list(session.scalars(query))


@retried
def expire(db: Database, job_id: str) -> bool:
    """Queue a job again whose worker let the lease end; returns whether a worker must be told."""
    with db.write() as session:
        job = session.get(Job, job_id, with_for_update=True)
        if job and job.status in HELD and job.due_at and job.due_at <= now():
            return _requeue(session, job, WORKER_LOST, timedelta()) == Status.QUEUED
        return job is not None and job.status == Status.QUEUED


@retried
def mark_dispatched(db: Database, job_id: str) -> None:
    """Note that a worker was told of a queued job; to be told again until one claims it."""
    with db.write() as session:
        job = session.get(Job, job_id)
        if job and job.status == Status.QUEUED:
            wait = min(max(DISPATCH_AGAIN_FIRST, now() - job.created_at), DISPATCH_AGAIN_LAST)
            _update(session, Job.id == job_id, Job.status == job.status, due_at=now() + wait)


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
