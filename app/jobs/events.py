"""The events of a job: a page of them, or each as it happens."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy import select

from app.contract.states import ACTIVE
from app.db import Database
from app.errors import ProblemError
from app.jobs.models import Job, JobEvent
from app.jobs.schemas import event_view
from app.jobs.service import get_job

ID = re.compile(r"event_([0-9]{1,18})")
POLL_SECONDS = 0.5
KEEPALIVE_SECONDS = 15
BATCH = 500


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


async def stream_events(db: Database, job_id: str, after: int) -> AsyncIterator[bytes]:
    """Server-sent events until the one that ends the job."""
    spoke = time.monotonic()
    ended = False
    while not ended:
        events, ended = await run_in_threadpool(read_news, db, job_id, after)
        for event in events:
            yield _encode(event)
            after, spoke = event.sequence, time.monotonic()
        if time.monotonic() - spoke > KEEPALIVE_SECONDS:
            yield KEEPALIVE_COMMENT
            spoke = time.monotonic()
        if not events and not ended:
            await asyncio.sleep(POLL_SECONDS)


def _encode(event: JobEvent) -> bytes:
    view = event_view(event)
    return format_sse_event(event=view.type, id=view.id, data_str=view.model_dump_json())
