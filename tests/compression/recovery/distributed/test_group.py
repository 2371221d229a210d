"""Processes that have said all: their exit is waited for, not for ever, and they are ended."""

import sys
import time

import psutil
import pytest

from worker.compression.recovery import distributed as group
from worker.compression.recovery.distributed import exit_status, messages, started

SAID = "import os, sys, time; print('\x1e{\"done\": 1}', flush=True); "
SILENT = SAID + "os.close(1); "


class StoppedError(Exception):
    """Raised by a caller that wants no more."""


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive() -> None:
    """Go on."""


def test_the_exit_of_processes_is_waited_for() -> None:
    with started(command(SILENT + "time.sleep(1); sys.exit(3)")) as process:
        assert [message for message in messages(process) if message] == [{"done": 1}]
        assert exit_status(process, alive) == 3


@pytest.mark.parametrize("code", [SAID, SILENT])
def test_a_caller_can_stop_amid_the_wait(code: str) -> None:
    def stop() -> None:
        raise StoppedError

    with started(command(code + "time.sleep(600)")) as process:
        assert next(message for message in messages(process) if message) == {"done": 1}
        began = time.monotonic()
        with pytest.raises(StoppedError):
            exit_status(process, stop)
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(process.pid)


def test_the_wait_ends_where_no_exit_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "_LEAVING", 1.0)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    with started(command(deaf + SAID + "time.sleep(600)")) as process:
        assert next(message for message in messages(process) if message) == {"done": 1}
        assert exit_status(process, alive) is None
    assert not psutil.pid_exists(process.pid)
