"""`fvt` as a user runs it: real processes, and what they leave behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

FVT = (str(Path(sys.executable).with_name("fvt")),)


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without the service's settings, but with these."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FVT_")}
    return inherited | {"HF_HUB_OFFLINE": "1"} | settings


def fvt(*args: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*FVT, *map(str, args)],
        capture_output=True,
        text=True,
        env=environment(**settings),
        timeout=280,
        check=False,
    )


def start(*args: str | Path, cwd: Path | None = None, **settings: str) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [*FVT, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**settings),
        cwd=cwd,
    )


class Up:
    """A running `fvt up`."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        args = ("up", "--port", "0", "--data-dir", data_dir)
        self.process = start(*args, cwd=data_dir.parent, **settings)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "ready at http://" in line, line + self.process.communicate()[1]
        self.url = line.split("ready at ")[1].split()[0]
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def named(self, part: str) -> list[psutil.Process]:
        """The descendants whose command line has `part`, supervisors aside."""
        lines = {child: " ".join(child.cmdline()) for child in self.family}
        return [c for c, line in lines.items() if part in line and "app.cli.supervise" not in line]

    def end(self, signal_: signal.Signals) -> tuple[int, str]:
        """Send a signal to this process alone; its exit code, and what it said."""
        self.process.send_signal(signal_)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err

    def survivors(self, within: float) -> list[str]:
        """The descendants that still run after `within` seconds."""
        deadline = time.monotonic() + within
        while (alive := [p for p in self.family if runs(p)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [str(process) for process in alive]


def runs(process: psutil.Process) -> bool:
    """Whether it does; one that only waits for init to take note of its end does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running_up(data_dir: Path, **settings: str) -> Iterator[Up]:
    """`fvt up`, and nothing of it afterwards."""
    up = Up(data_dir, **settings)
    try:
        yield up
    finally:
        up.process.kill()
        up.survivors(within=30)
