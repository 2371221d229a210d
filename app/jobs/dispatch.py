"""Telling the workers of jobs that wait: at once after a submission, then until one is claimed."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from app.broker import Dispatcher
from app.db import Database
from app.jobs import transitions

log = logging.getLogger(__name__)

GATHERING_SECONDS = 0.1
"""Jobs that are submitted within it are told of in one round."""


async def dispatch_due_jobs(
    db: Database, dispatcher: Dispatcher, every_seconds: float, submitted: asyncio.Event
) -> None:
    """Requeue jobs that a worker dropped and send messages for all that wait, for ever.

    A round comes every so many seconds, and soon after `submitted` is set: a request only sets it,
    so that no broker delays one. A database or a broker that is away is waited for, and logged
    once.
    """
    away = False
    while True:
        submitted.clear()
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
        await asyncio.sleep(every_seconds if away else GATHERING_SECONDS)
        if not away:
            with suppress(TimeoutError):
                await asyncio.wait_for(submitted.wait(), every_seconds)


def dispatch_round(db: Database, dispatcher: Dispatcher) -> None:
    """One round over the jobs that are due now; of rounds at the same time, one sends each job."""
    # All leases first: ending a cancelled or hopeless job needs no broker.
    for job_id in transitions.lapsed(db):
        transitions.expire(db, job_id)
    _send(db, dispatcher, transitions.take_due(db))


def _send(db: Database, dispatcher: Dispatcher, taken: Sequence[str]) -> None:
    """Send a message for each job that was taken; those of which none could be sent are due."""
    for number, job_id in enumerate(taken):
        try:
            dispatcher.send(job_id)
        except BaseException:
            transitions.give_up(db, taken[number:])
            raise
