"""The keeper ends its command, and all that the command started, with its launcher."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print("started", flush=True)
time.sleep(300)
"""


def keep(*command: str, grace: float = 0.3) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.supervise", str(grace), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def test_a_command_that_ignores_sigterm_goes_with_its_children() -> None:
    keeper = keep(sys.executable, "-c", STUBBORN)
    assert keeper.stdout is not None
    assert keeper.stdin is not None
    assert keeper.stdout.readline() == b"started\n"
    family = psutil.Process(keeper.pid).children(recursive=True)
    assert len(family) == 2
    keeper.stdin.close()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert keeper.wait(10) == -signal.SIGKILL


def test_a_command_that_obeys_is_not_waited_for_longer_than_needed() -> None:
    keeper = keep("sleep", "300", grace=60)
    assert keeper.stdin is not None
    began = time.monotonic()
    keeper.stdin.close()
    keeper.wait(30)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    assert keep("sh", "-c", script).wait(30) == code
