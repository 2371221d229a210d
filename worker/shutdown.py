"""Telling the processes of a worker that it is to stop."""

import mmap
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A byte that the worker's parent and all forks of it share, and what this process alone was told.
_WORKER_STOPS = mmap.mmap(-1, 1)
_told: list[int] = []
# A worker with REMAP_SIGTERM=SIGQUIT ends its pool with the latter.
_SIGNALS = (signal.SIGTERM, signal.SIGQUIT)


class StoppedError(Exception):
    """The worker is to stop: the job is for the next one."""


def stop_worker() -> None:
    """Have the jobs of this worker handed back, and no other one begun."""
    _WORKER_STOPS[0] = 1


def stop_requested() -> bool:
    """Tell whether the worker, or this process alone, is to stop."""
    return bool(_told) or _WORKER_STOPS[0] == 1


def check_may_go_on() -> None:
    """Raise `StoppedError` where the worker is to stop."""
    if stop_requested():
        raise StoppedError


@contextmanager
def signals_put_off() -> Iterator[None]:
    """Take a signal to end for a request to stop; at the end of the block it ends the process."""

    def note(number: int, _: Any) -> None:
        _told.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for told in _told:
            os.kill(os.getpid(), told)
