"""A process forked before a job begins, for its self-check: the libraries are in its memory.

Nothing of the job is. It waits, and costs the pages that it writes to, until it is told which
module to run as a command. docs/decisions/0011-a-worker-that-is-ready.md says why.
"""

import io
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from worker.compression.lifetimes import end_with_parent
from worker.compression.subprocesses import ChildProcess, watched

_POLL_SECONDS = 0.02
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Spare:
    """A fork of this process as it was at the start of the job; it can be used once."""

    def __init__(self) -> None:
        orders, self._orders = os.pipe()
        output, its_output = os.pipe()
        for file in (sys.stdout, sys.stderr):
            file.flush()
        # Until it has let go of this process's handlers, they would swallow a signal to end it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        self.pid = os.fork()
        if not self.pid:
            _wait_and_exit(orders, its_output, mask, others=(self._orders, output))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        # Both do it: whoever ends the group at once must find it.
        os.setpgid(self.pid, self.pid)
        os.close(orders)
        os.close(its_output)
        self.stdout = os.fdopen(output, encoding="utf-8", errors="replace")
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, minus the signal that ended it; None while it runs."""
        if self._status is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if ended else None
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; raises `subprocess.TimeoutExpired` where it does not come."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a fork", timeout or 0.0)
            time.sleep(_POLL_SECONDS)
        return status

    @contextmanager
    def run(self, module: str, arguments: Sequence[str | Path]) -> Iterator[ChildProcess]:
        """Have it run a module's `main`, as `python -m` would; at the end of the block it ends.

        Its errors are among its output.
        """
        with watched(self) as child:
            with os.fdopen(self._orders, "w", encoding="utf-8") as orders:
                orders.write("\0".join([module, *map(str, arguments)]))
            yield child


def _wait_and_exit(orders: int, output: int, mask: Iterable[int], others: Sequence[int]) -> None:
    """Run what the orders say, once they are whole; exit where there are none."""
    status = 1
    try:
        end_with_parent()
        os.setpgid(0, 0)
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for other in others:
            os.close(other)
        with os.fdopen(orders, encoding="utf-8") as file:
            given = file.read()
        if given:
            status = _run(given.split("\0"), output)
    finally:
        os._exit(status)


def _run(command: list[str], output: int) -> int:
    """Run a module with the output in the place of what the worker prints and logs to."""
    for number in (1, 2):
        os.dup2(output, number)
    # Celery has put its log in the place of both.
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(number, "wb", 0), write_through=True) for number in (1, 2)
    )
    sys.argv = command
    try:
        return int(import_module(command[0]).main())
    except BaseException:
        # A panic of the tokenizers library is no `Exception`.
        traceback.print_exc()
        return 1
