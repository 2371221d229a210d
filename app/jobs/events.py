"""The events of jobs, read from the job store."""

import re
from collections.abc import Mapping, Sequence, Set

import orjson
from fastapi.sse import format_sse_event
from sqlalchemy import JSON, BigInteger, String, bindparam, cast, func, select

from app.contract.states import ACTIVE
from app.db import Database
from app.errors import ProblemError
from app.jobs.models import Job, JobEvent
from app.jobs.schemas import event_view
from app.jobs.service import get_job

ID = re.compile(r"event_([0-9]{1,18})")
BATCH = 500
BATCH_OF_ALL = 5000

News = tuple[Sequence[JobEvent], Set[str]]
"""Events, oldest first, and the ids of the jobs after whose events nothing follows."""


def sequence_of(event_id: str | None) -> int:
    """The number in an event's id; without one, that before the first."""
    match = ID.fullmatch(event_id or "event_0")
    if match is None:
        raise ProblemError(
            "unknown_cursor",
            f"{event_id!r} is no event's id. Give the id of the last event that you have, or none.",
        )
    return int(match[1])


def read_events(
    db: Database, job_id: str, after: int, limit: int
) -> tuple[Sequence[JobEvent], bool]:
    """The next events of a job, oldest first, and whether more are there."""
    statement = (
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.sequence > after)
        .order_by(JobEvent.sequence)
        .limit(limit + 1)
    )
    with db.read() as session:
        get_job(session, job_id)
        events = session.scalars(statement).all()
    return events[:limit], len(events) > limit


def read_news(db: Database, job_id: str, after: int) -> tuple[Sequence[JobEvent], bool]:
    """The next events of a job, and whether nothing can follow them."""
    # The state first: the event that ends a job is written with the state that ends it.
    with db.read() as session:
        job = session.get(Job, job_id)
    if job is None:
        return [], True
    events, more = read_events(db, job_id, after, BATCH)
    return events, job.status not in ACTIVE and not more


def read_all_news(db: Database, cursors: Mapping[str, int]) -> News:
    """The next events of each of some jobs after the number given for it, and which jobs ended.

    Reads at most `BATCH_OF_ALL` events: a job of which more may follow has not ended yet.
    """
    # One parameter for all jobs, so that the statement stays the same.
    given = bindparam("watched", type_=String)
    watched = func.json_each(given)
    if db.engine.dialect.name == "postgresql":
        watched = func.json_each_text(cast(given, JSON))
    jobs = watched.table_valued("key", "value").alias("watched")
    is_active = select(Job.id).where(Job.id == jobs.c.key, Job.status.in_(ACTIVE))
    active = select(jobs.c.key).where(is_active.exists())
    news = (
        select(JobEvent)
        .join(jobs, JobEvent.job_id == jobs.c.key)
        .where(JobEvent.sequence > cast(jobs.c.value, BigInteger))
        .order_by(JobEvent.sequence)
        .limit(BATCH_OF_ALL)
    )
    parameters = {"watched": orjson.dumps(cursors).decode()}
    with db.read() as session:
        # The states first: the event that ends a job is written with the state that ends it.
        going_on = set(session.scalars(active, parameters))
        events = session.scalars(news, parameters).all()
    ended = set() if len(events) == BATCH_OF_ALL else cursors.keys() - going_on
    return events, ended


def encode(event: JobEvent) -> bytes:
    """Write an event as the stream sends it."""
    view = event_view(event)
    return format_sse_event(event=view.type, id=view.id, data_str=view.model_dump_json())
