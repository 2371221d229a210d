"""Run calls on strangers' files in processes apart, which may take memory and time there.

A parser holds Python's interpreter for as long as it works on one value, and its memory is seldom
given back. In a process of its own it stalls nobody: that process has a limit of memory, is ended
with its service, and a new one takes its place after it has grown or broken down.
"""

import os
import pickle
import queue
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

from app.contract.errors import UserFault

PROCESSES = 2
KEPT_BYTES = 256 << 20
"""A process that holds more than this after a call is ended, which gives its memory back."""
LOOK_SECONDS = 0.5
NICENESS = 2
LENGTH = struct.Struct("<Q")

P = ParamSpec("P")
T = TypeVar("T")


class OutOfMemoryError(Exception):
    """A call needed more memory than it was given."""


class BrokenCallError(Exception):
    """A call failed on our side; the message has its traceback's last line."""


class Subprocesses:
    """A few processes that start when they are needed; each runs one call at a time."""

    def __init__(self, processes: int = PROCESSES) -> None:
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._children: set[_Child] = set()
        self._lock = threading.Lock()
        self._closed = False
        for _ in range(processes):
            self._free.put(None)

    def run(self, max_bytes: int, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call of a module in a process, with so many bytes of memory; waits for a free one.

        Its arguments and its result are pickled. Raises the call's `UserFault`, `OutOfMemoryError`
        and `BrokenCallError`.
        """
        child = self._free.get()
        kept: _Child | None = None
        try:
            child = child if child and child.runs else self._start()
            kind, value, held = child.ask((max_bytes, call, args, kwargs))
            if held < KEPT_BYTES:
                kept = child
        finally:
            if child is not None and kept is None:
                self._end(child)
            self._free.put(kept)
        if kind == "fault":
            raise value
        if kind == "memory":
            raise OutOfMemoryError
        if kind == "error":
            raise BrokenCallError(value)
        result: T = value
        return result

    def close(self) -> None:
        """End all processes; what they run is lost."""
        self._closed = True
        with self._lock:
            children = list(self._children)
        for child in children:
            self._end(child)

    def _start(self) -> "_Child":
        if self._closed:
            raise BrokenCallError("the service is ending")
        child = _Child()
        with self._lock:
            self._children.add(child)
        return child

    def _end(self, child: "_Child") -> None:
        with self._lock:
            self._children.discard(child)
        child.kill()


class _Child:
    """One process, seen from the service."""

    def __init__(self) -> None:
        # A session of its own: an interrupt at the terminal is the service's, not this one's.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.subprocesses"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            start_new_session=True,
        )

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: tuple[Any, ...]) -> tuple[str, Any, int]:
        """Have a call run; returns what became of it, and how much memory the process holds."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            _send(self._process.stdin, request)
            if (answer := _receive(self._process.stdout)) is not None:
                kind, value, held = answer
                return kind, value, held
        # Killed by the kernel for its memory, or by a fault of a library below Python.
        return "memory", None, KEPT_BYTES

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


def _send(pipe: IO[bytes], message: object) -> None:
    data = pickle.dumps(message)
    pipe.write(LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """Read one message; None at the end of the pipe."""
    if len(head := pipe.read(LENGTH.size)) < LENGTH.size:
        return None
    data = pipe.read(LENGTH.unpack(head)[0])
    # Both ends are this program, and no one else holds the pipe.
    return pickle.loads(data)  # noqa: S301


def serve() -> None:
    """Run the calls that come on the standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    os.nice(NICENESS)
    with suppress(OSError):
        # Where memory is short, this process goes before the service.
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    # What a library prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while (request := _receive(sys.stdin.buffer)) is not None:
        _send(answers, (*_outcome(*request), _held()))


def _outcome(max_bytes: int, call: Callable[..., Any], args: Any, kwargs: Any) -> tuple[str, Any]:
    try:
        # Not of addresses, of which allocators reserve many: of memory that can be written.
        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, resource.RLIM_INFINITY))
        return "value", call(*args, **kwargs)
    except UserFault as fault:
        return "fault", fault
    except MemoryError:
        return "memory", None
    except Exception as error:
        return "error", f"{type(error).__name__}: {error}"
    finally:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_DATA, unlimited)


def _held() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _end_with(parent: int) -> None:
    """End this process soon after its parent, be it amid a call."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    serve()
