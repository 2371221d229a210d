"""A migrated job store, and jobs in it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import select

from app.contract.recipe import Recipe
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job, JobEvent
from app.jobs.transitions import LeaseLostError

LEASE = timedelta(minutes=1)
ENDED = timedelta(seconds=-1)


def open_store(url: str) -> Iterator[Database]:
    """Give a database with the schema in it, closed in the end."""
    database = Database(url)
    database.migrate()
    yield database
    database.close()


def add_job(db: Database, max_attempts: int = 3) -> str:
    """Submit a job; returns its id."""
    with db.write() as session:
        job = Job(
            base_model="org/model",
            corpus_id="corpus_1",
            recipe=Recipe().model_dump(),
            labels={},
            max_attempts=max_attempts,
        )
        transitions.submit(session, job)
    return job.id


def read(db: Database, job_id: str) -> Job:
    with db.read() as session:
        return session.get_one(Job, job_id)


def event_types(db: Database, job_id: str) -> list[str]:
    with db.read() as session:
        query = select(JobEvent.type).where(JobEvent.job_id == job_id).order_by(JobEvent.sequence)
        return list(session.scalars(query))


def cancel(db: Database, job_id: str) -> None:
    with db.write() as session:
        transitions.request_cancel(session, session.get_one(Job, job_id))


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call returns or raises, all let go at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except LeaseLostError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
