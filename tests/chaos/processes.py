"""The processes of a service: started, killed, frozen, and counted by a mark they inherit."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.commands import runs

MARK = "FVT_CHAOS_RUN"
"""The environment variable that all processes of a run inherit, however deep."""


class Service:
    """A command that is started again where it has ended, as a supervisor would do it.

    It leads a process group of its own. Only `restart` starts it, so that whoever kills it says
    when it comes back.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        **how: str | Path,
    ) -> None:
        self.name = name
        self._command, self._env, self._log, self._how = [*command], dict(env), log, how
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the command itself; raises ProcessLookupError where it has ended."""
        if self._process is None or self._process.poll() is not None:
            raise ProcessLookupError(self.name)
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def restart(self) -> None:
        """Start the command unless it runs."""
        if self.runs:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._how,  # type: ignore[call-overload]
            )

    def family(self) -> list[psutil.Process]:
        """The command and all its descendants; empty where it has ended."""
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            command = psutil.Process(self.pid)
            return [command, *command.children(recursive=True)]
        return []

    def send(self, wanted: signal.Signals) -> None:
        """Signal the command alone; nothing where it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, wanted)

    def stop(self, seconds: float) -> bool:
        """Ask for the end; False where it had to be killed for it after so many seconds."""
        if self._process is None:
            return True
        self.send(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True


def signal_all(processes: Sequence[psutil.Process], wanted: signal.Signals) -> None:
    """Signal each of these that is still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(wanted)


def marked(run: str) -> Iterator[psutil.Process]:
    """Every process that inherited the mark of this run and has not ended."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == run and runs(process):
                yield process


def wait_for_none(run: str, seconds: float) -> list[str]:
    """Return the command lines of the processes that are left after at most so many seconds."""
    end = time.monotonic() + seconds
    while (left := list(marked(run))) and time.monotonic() < end:
        time.sleep(0.2)
    return [str(process) for process in left]
