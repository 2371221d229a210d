"""Run a claimed job in a process of its own, and end that from outside where it must end.

A stage may be stuck in native code, hold the interpreter's lock or crash: nothing in its own
process can be relied on. The process of the pool that took the message up stays small, holds the
lease and looks on; docs/decisions/0015-a-watchdog-outside-the-stage.md says why.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from app.db import Database
from app.jobs.transitions import Claim
from app.settings import Settings
from worker.compression.errors import LibraryCrashedError
from worker.compression.lifetimes import adopt_orphans, end_with_parent
from worker.compression.subprocesses import crash_signal
from worker.lease import Lease
from worker.memory import exceeds, memory_limit
from worker.shutdown import StoppedError, stop_requested

POLL_SECONDS = 0.1
LOOK_SECONDS = 1.0
"""Seconds between two looks at memory and for frozen processes."""
END_SECONDS = 30.0
"""After which processes that do not even end by SIGKILL, as in a driver's call, are left."""
CLEAN_SECONDS = 600.0

log = logging.getLogger(__name__)


class TimeLimitError(Exception):
    """The attempt took longer than this installation allows."""


class MemoryLimitError(Exception):
    """The processes of the job hold more memory than this installation allows."""


class AttemptLostError(Exception):
    """The process of the attempt was killed, or stands still: not through the job, as far as known.

    Its message says which.
    """


Work = Callable[[], None]


class Watchdog:
    """Looks on while a process and all that it starts run a job."""

    def __init__(self, claim: Claim, settings: Settings, db: Database) -> None:
        self._claim = claim
        self._settings = settings
        self._db = db
        self._stop_at: float | None = None
        self._frozen_since: float | None = None

    def run(self, attempt: Work) -> None:
        """Run an attempt to its end, of which it writes down itself.

        Raises:
            CancelledError: the job is to be cancelled.
            LeaseLostError: the job is another worker's, or was deleted.
            StoppedError: the worker is to stop, and the attempt did not end in time.
            TimeLimitError, MemoryLimitError: it exceeded what is allowed.
            LibraryCrashedError: a crash ended it.
            AttemptLostError: something else did.

        """
        self._db.close()  # no connection survives a fork
        with started(attempt) as pid, Lease(self._db, self._claim, self._settings) as lease:
            try:
                status = self._watch(pid, lease)
            finally:
                # Before the lease is given up: its thread may have to wait for the database.
                end_descendants()
        if crashed := crash_signal(status):
            raise LibraryCrashedError(f"The job's process ended with {crashed.name}.")
        if status:
            raise AttemptLostError(f"The job's process ended with {status}.")

    def _watch(self, pid: int, lease: Lease) -> int:
        """Return the exit status of the attempt."""
        began = looked_at = time.monotonic()
        limit = memory_limit(self._settings)
        while (status := exit_status(pid)) is None:
            now = time.monotonic()
            lease.check()
            if now - began > self._settings.job_time_limit_seconds:
                raise TimeLimitError
            if stop_requested():
                self._ask_to_stop(pid, now)
            if now - looked_at >= LOOK_SECONDS:
                looked_at = now
                self._look(pid, limit, now)
            time.sleep(POLL_SECONDS)
        return status

    def _ask_to_stop(self, pid: int, now: float) -> None:
        if self._stop_at is None:
            self._stop_at = now + self._settings.shutdown_seconds
            os.kill(pid, signal.SIGTERM)
        if now > self._stop_at:
            raise StoppedError

    def _look(self, pid: int, limit: int, now: float) -> None:
        if exceeds(psutil.Process().children(recursive=True), limit):
            raise MemoryLimitError
        if not _is_frozen(pid):
            self._frozen_since = None
        elif self._frozen_since is None:
            self._frozen_since = now
        elif now - self._frozen_since > self._settings.lease_seconds:
            raise AttemptLostError("The job's process stands still.")


def _is_frozen(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False


@contextmanager
def started(work: Work) -> Iterator[int]:
    """Do some work in a fork of this process, which has no thread; gives the process id.

    At the end of the block all that it started ends, and what that started.
    """
    adopt_orphans()
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        try:
            yield pid
        finally:
            end_descendants()
    else:
        _do_and_exit(work)


def _do_and_exit(work: Work) -> None:
    """Exit without the ends that the pool's process or a library has prepared for itself."""
    status = 1
    try:
        end_with_parent()
        work()
        status = 0
    except BaseException:
        log.exception("The job's process fails")
    finally:
        os._exit(status)


def exit_status(pid: int) -> int | None:
    """Return the exit status of a child, minus the signal that ended it; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def end_descendants() -> None:
    """Kill all that this process started, however far down, and wait until nothing is left."""
    end, me = time.monotonic() + END_SECONDS, psutil.Process()
    while children := me.children(recursive=True):
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > end:
            log.error("still there after SIGKILL: %s", [child.pid for child in children])
            return
        time.sleep(POLL_SECONDS / 5)


def run_apart(work: Work) -> None:
    """Do some work that may start threads or hang in a process of its own, and wait for it."""
    with started(work) as pid:
        end = time.monotonic() + CLEAN_SECONDS
        while exit_status(pid) is None and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
