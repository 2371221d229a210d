"""Run calls that may have to wait in a few threads each, so that all others find a thread free.

FastAPI answers every plain route from the same 40 threads. Forty that wait for one lock would keep
a read, which needs no lock, from its answer.
"""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from anyio.lowlevel import RunVar

from app.db import Database
from app.subprocesses import PROCESSES
from app.waits import DatabaseAwayError

P = ParamSpec("P")
T = TypeVar("T")


class Limit:
    """A number of threads for calls of one kind; what comes when all are taken waits its turn."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = threads
        # One of each event loop: tests run several services in a process.
        self._limiter: RunVar[CapacityLimiter] = RunVar(f"fvt_{name}")

    @property
    def limiter(self) -> CapacityLimiter:
        """The limiter of the running event loop."""
        try:
            return self._limiter.get()
        except LookupError:
            limiter = CapacityLimiter(self._threads)
            self._limiter.set(limiter)
            return limiter

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `call` in one of these threads."""
        return await to_thread.run_sync(partial(call, *args, **kwargs), limiter=self.limiter)


CHECKS = Limit("base_model_checks", 8)
"""The hub may take seconds to answer, and so may the files of a large model."""
DETECTIONS = Limit("detections", 2)
"""Looks at the first megabyte of uploads, each of which holds the interpreter for milliseconds."""
INSPECTIONS = Limit("inspections", PROCESSES)
"""Each waits for a process: more of them would only hold a thread each."""
ESTIMATES = Limit("estimates", PROCESSES)
_WRITES = Limit("writes", 16)


async def run_writing(db: Database, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a call that writes to `db`; raises `DatabaseAwayError` where its turn does not come."""
    limiter, borrower = _WRITES.limiter, object()
    try:
        with fail_after(db.wait):
            await limiter.acquire_on_behalf_of(borrower)
    except TimeoutError as error:
        raise DatabaseAwayError("other calls that write have waited too long") from error
    try:
        return await to_thread.run_sync(partial(call, *args, **kwargs), limiter=CapacityLimiter(1))
    finally:
        limiter.release_on_behalf_of(borrower)
