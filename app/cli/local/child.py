"""One process of local mode: in a session of its own, with a log, never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import app

PACKAGES = Path(app.__file__).resolve().parent.parent
"""Children run here, so that a user's own `app` or `worker` folder is not imported instead."""

KEEPER = (sys.executable, "-m", "app.cli.local.keeper")
TAIL_LINES = 20


class Child:
    """A command under a keeper; a Ctrl-C in the terminal reaches only the launcher."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        grace: float,
        lock: int,
    ) -> None:
        self.name = name
        self.log = log
        self._grace = grace
        with log.open("ab") as sink:
            self._log_start = sink.tell()
            # The keepers hold the lock too: it is free only once all of them are gone.
            self._keeper = subprocess.Popen(  # noqa: S603
                [*KEEPER, str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=PACKAGES,
                start_new_session=True,
                pass_fds=(lock,),
            )

    @property
    def exit_code(self) -> int | None:
        """How the command ended, or None while it runs."""
        return self._keeper.poll()

    def stop(self) -> None:
        """End the command in good order, or hard when its grace is over."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(self._grace + 5)
        self.kill()

    def kill(self) -> None:
        """End whatever is left of the command's process group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._keeper.pid, signal.SIGKILL)
        self._keeper.wait()

    def log_tail(self) -> str:
        """The last lines that this command wrote."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return b"".join(file.readlines()[-TAIL_LINES:]).decode(errors="replace")
