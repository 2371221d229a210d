"""Telling the workers of jobs that wait: at once after a submission, then until one is claimed."""

import asyncio
import logging
from threading import BoundedSemaphore

from app.broker import Dispatcher
from app.db import Database
from app.jobs import transitions

log = logging.getLogger(__name__)

DISPATCHING = BoundedSemaphore(4)
"""A broker that hangs holds up this many threads, not all that answer requests."""


def dispatch_job(db: Database, dispatcher: Dispatcher, job_id: str) -> None:
    """Tell the workers of a new job; where that fails, `ring_due_jobs` does it later."""
    if not DISPATCHING.acquire(blocking=False):
        return
    try:
        dispatcher.send(job_id)
        transitions.mark_dispatched(db, job_id)
    except Exception as error:
        log.info("%s waits for the next round of messages: %s", job_id, error)
    finally:
        DISPATCHING.release()


async def dispatch_due_jobs(db: Database, dispatcher: Dispatcher, every_seconds: float) -> None:
    """Requeue jobs that a worker dropped and send messages for all that wait, for ever.

    A database or a broker that is away is waited for, and logged once.
    """
    away = False
    while True:
        try:
            await asyncio.to_thread(dispatch_round, db, dispatcher)
        except Exception:
            if not away:
                log.exception("Cannot tell the workers of waiting jobs now; will try on")
            away = True
        else:
            if away:
                log.warning("The workers can be told of waiting jobs again")
            away = False
        await asyncio.sleep(every_seconds)


def dispatch_round(db: Database, dispatcher: Dispatcher) -> None:
    """One round over the jobs that are due now."""
    # All leases first: ending a cancelled or hopeless job needs no broker.
    waiting = [job_id for job_id in transitions.due(db) if transitions.expire(db, job_id)]
    for job_id in waiting:
        dispatcher.send(job_id)
        transitions.mark_dispatched(db, job_id)
