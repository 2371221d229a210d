"""Holding a claimed job: a heartbeat renews the lease, and hears when to stop."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.transitions import Claim, LeaseLostError
from app.settings import Settings
from app.waits import DatabaseAwayError

log = logging.getLogger(__name__)


_BEAT_SECONDS = 2.0


class CancelledError(Exception):
    """Someone asked for the job to be cancelled."""


class Lease:
    """Keeps `claim` alive from a thread while the block runs.

    `on_beat` is called by that thread, at least every few seconds, as long as the job is held.
    """

    def __init__(
        self,
        db: Database,
        claim: Claim,
        settings: Settings,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._claim = claim
        self._on_beat = on_beat
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
        while not self._done.wait(min(self._every, _BEAT_SECONDS)):
            try:
                self._on_beat()
                if time.monotonic() - renewed_at < self._every:
                    continue
                status = transitions.renew(self._db, self._claim, self._length)
                renewed_at = time.monotonic()
            except LeaseLostError as lost:
                self._stop_with = lost
                return
            except (SQLAlchemyError, DatabaseAwayError):
                # The lease outlives a short outage; after a long one the token no longer counts.
                log.warning("heartbeat of %s failed", self._claim.job_id, exc_info=True)
                continue
            if status == Status.CANCELLING:
                self._stop_with = CancelledError()
