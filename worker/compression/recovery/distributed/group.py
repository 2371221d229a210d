"""A launcher with the processes it starts: what they tell, and their end."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from worker.compression.recovery.distributed.order import RECORD_SEPARATOR

_SECONDS = 0.5
_LEAVING = 30.0
"""How long processes that have said all may take to exit."""
_GRACE = 3.0


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a launcher; whatever is left of it and its group at the end is ended."""
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={"OMP_NUM_THREADS": "1", **os.environ},
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            _stop(process)


def messages(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield what the processes tell; an empty message where they are silent for long."""
    lines = SimpleQueue[str | None]()
    assert process.stdout is not None
    Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=_SECONDS)
        except Empty:
            yield {}
            continue
        if line is None:
            return
        if line.startswith(RECORD_SEPARATOR):
            yield json.loads(line[1:])


def exit_status(process: subprocess.Popen[str], alive: Callable[[], None]) -> int | None:
    """Wait for the launcher's exit, calling ``alive`` meanwhile; None where it does not come."""
    end = time.monotonic() + _LEAVING
    while time.monotonic() < end:
        alive()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_SECONDS)
    return None


def _read(source: IO[str], lines: SimpleQueue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed meanwhile
        for line in source:
            lines.put(line)
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    """End all processes of the group that are left."""
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, wanted)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
