"""Holding a claimed job: a heartbeat renews the lease, and hears when to stop."""

import logging
import threading
import time
from datetime import timedelta
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from app.contract.states import TERMINAL, Status
from app.db import Database
from app.jobs import transitions
from app.jobs.transitions import Claim, LeaseLostError
from app.settings import Settings
from app.waits import DatabaseAwayError

LOOK_SECONDS = 2.0
"""Seconds between two looks for a cancellation, between heartbeats too."""

log = logging.getLogger(__name__)


class CancelledError(Exception):
    """Someone asked for the job to be cancelled."""


class Lease:
    """Keeps `claim` alive from a thread while the block runs."""

    def __init__(self, db: Database, claim: Claim, settings: Settings) -> None:
        self._db = db
        self._claim = claim
        self._every = settings.heartbeat_seconds
        self._length = timedelta(seconds=settings.lease_seconds)
        self._done = threading.Event()
        self._stop_with: Exception | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def check(self) -> None:
        """Raise `CancelledError` or `LeaseLostError` where the job is no longer to be run."""
        if self._stop_with:
            raise self._stop_with

    def _beat(self) -> None:
        renewed_at = time.monotonic()
        while not self._done.wait(min(self._every, LOOK_SECONDS)):
            is_time = time.monotonic() - renewed_at >= self._every
            try:
                status = self._renew() if is_time else transitions.look(self._db, self._claim)
            except LeaseLostError as lost:
                self._stop_with = lost
                return
            except (SQLAlchemyError, DatabaseAwayError):
                # The lease outlives a short outage; after a long one the token no longer counts.
                log.warning("heartbeat of %s failed", self._claim.job_id, exc_info=True)
                continue
            if is_time:
                renewed_at = time.monotonic()
            if status in TERMINAL:
                return
            if status == Status.CANCELLING:
                self._stop_with = CancelledError()

    def _renew(self) -> Status:
        try:
            return transitions.renew(self._db, self._claim, self._length)
        except LeaseLostError:
            return transitions.look(self._db, self._claim)


def open_database(settings: Settings) -> Database:
    """Open the job store as a worker does: it bridges an outage that is shorter than its lease.

    After that the job is another worker's anyway.
    """
    return Database(
        settings.database_url, wait=settings.database_seconds, patience=settings.lease_seconds
    )
