"""Run a child process and watch it: its output, its exit, and its end with its caller."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Protocol

from worker.compression.errors import LibraryCrashedError
from worker.compression.lifetimes import TIED

_INTERVAL = 0.5
"""Seconds between two calls of a callback."""
_GRACE = 3.0
"""Seconds that a process group has to end after SIGTERM."""
CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}
)
"""The signals by which a library ends its own process."""
_PANIC = "PanicException"


class Running(Protocol):
    """A process that leads a group of its own and whose output is text; a `Popen` is one."""

    pid: int

    @property
    def stdout(self) -> IO[str] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class ChildProcess:
    """Watch a running child; an exception raised from a callback leaves the watch at once."""

    def __init__(self, process: Running) -> None:
        self.pid = process.pid
        self._process = process
        self._lines = SimpleQueue[str | None]()
        Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, output: IO[str] | None) -> None:
        assert output
        with contextlib.suppress(ValueError):  # the file was closed meanwhile
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def lines(self, callback: Callable[[], None]) -> Iterator[str]:
        """Yield the lines of the output until it ends; call back at least each half second.

        A process that the child started may hold its output open: with the child gone and nothing
        more to read, this ends too.
        """
        called_at = time.monotonic()
        while True:
            has_ended = self._process.poll() is not None
            try:
                line = self._lines.get(timeout=_INTERVAL)
            except Empty:
                if has_ended:
                    return
            else:
                if line is None:
                    return
                yield line
            if time.monotonic() - called_at >= _INTERVAL:
                callback()
                called_at = time.monotonic()

    def wait(self, callback: Callable[[], None], seconds: float | None = None) -> int | None:
        """Return the exit status; None where it does not come in time. Calls back meanwhile."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            callback()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(_INTERVAL)
        return None


@contextlib.contextmanager
def child_process(
    command: Sequence[str | Path],
    *,
    stderr: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[ChildProcess]:
    """Start a command in a process group of its own; at the end, end all that is left of it.

    The kernel ends it (Linux) with the thread that started it.

    ``stderr`` is as in ``subprocess``; ``env`` is added to this process's environment.
    """
    with (
        subprocess.Popen(  # noqa: S603
            [*TIED, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            start_new_session=True,
        ) as process,
        watched(process) as child,
    ):
        yield child


@contextlib.contextmanager
def watched(process: Running) -> Iterator[ChildProcess]:
    """Watch a process; at the end, end all that is left of its group."""
    try:
        yield ChildProcess(process)
    finally:
        _end_group(process)


def _end_group(process: Running) -> None:
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, wanted)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


@dataclass(frozen=True)
class Completed:
    """Hold the exit status and the output of a child that has ended."""

    status: int
    output: str


def run_child(
    command: Sequence[str | Path], callback: Callable[[], None], *, stderr: int | None = None
) -> Completed:
    """Run a command to its end and collect its output; the callback may raise to stop it.

    It is called at the start and about each half second.
    """
    with child_process(command, stderr=stderr) as child:
        callback()
        output = "".join(child.lines(callback))
        status = child.wait(callback)
    assert status is not None
    return Completed(status, output)


def failure(what: str, status: int | None, output: str = "") -> Exception:
    """Return the error to raise for a child that failed; `what` names it.

    It is a `LibraryCrashedError` where a signal or a panic of Rust says that a library crashed.
    """
    message = f"{what} ended with {status}: {output[-2000:]}"
    if crash_signal(status) or _PANIC in output:
        return LibraryCrashedError(message)
    return RuntimeError(message)


def crash_signal(status: int | None) -> signal.Signals | None:
    """Return the signal by which a crashed process ended; None for every other exit status."""
    return signal.Signals(-status) if status and -status in CRASHES else None
