"""Child processes: their output, their exit, and their end with whoever watches them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from worker.compression.subprocesses import ChildProcess, child_process, run_child

SAID = "import os, sys, time; print('done', flush=True); "
SILENT = SAID + "os.close(1); "


class StoppedError(Exception):
    """Raised by a caller that wants no more."""


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def go_on() -> None:
    """Go on."""


def stop() -> None:
    raise StoppedError


def first_line(child: ChildProcess) -> str:
    return next(child.lines(go_on)).strip()


def test_the_exit_of_a_child_is_waited_for() -> None:
    with child_process(command(SILENT + "time.sleep(1); sys.exit(3)")) as child:
        assert [line.strip() for line in child.lines(go_on)] == ["done"]
        assert child.wait(go_on) == 3


@pytest.mark.parametrize("code", [SAID, SILENT])
def test_a_caller_can_stop_amid_the_wait(code: str) -> None:
    with child_process(command(code + "time.sleep(600)")) as child:
        assert first_line(child) == "done"
        began = time.monotonic()
        with pytest.raises(StoppedError):
            child.wait(stop)
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(child.pid)


@pytest.mark.parametrize("code", ["import time; time.sleep(600)", "while True: print('more')"])
def test_a_caller_can_stop_amid_the_output(code: str) -> None:
    began = time.monotonic()
    with child_process(command(code)) as child, pytest.raises(StoppedError):
        list(child.lines(stop))
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(child.pid)


def test_the_wait_ends_where_no_exit_comes() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    with child_process(command(deaf + SAID + "time.sleep(600)")) as child:
        assert first_line(child) == "done"
        assert child.wait(go_on, 1.0) is None
    assert not psutil.pid_exists(child.pid)


def test_what_a_child_leaves_behind_is_ended_and_not_waited_for() -> None:
    sleeper = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    began = time.monotonic()
    done = run_child(command(f"import subprocess, sys; print({sleeper}.pid)"), go_on)
    assert time.monotonic() - began < 30
    assert done.status == 0
    gone_or_dead(int(done.output))


def gone_or_dead(pid: int) -> None:
    end = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_output_and_status_are_collected() -> None:
    code = "import sys; print('a'); sys.stdout.flush(); print('b', file=sys.stderr); sys.exit(5)"
    both = run_child(command(code), go_on, stderr=subprocess.STDOUT)
    assert (both.status, both.output) == (5, "a\nb\n")
    assert run_child(command(code), go_on, stderr=subprocess.DEVNULL).output == "a\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a function of Linux")
def test_a_child_that_asks_for_it_ends_with_a_killed_parent(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    child = (
        "from worker.compression.lifetimes import end_with_parent; import os, pathlib, time; "
        f"end_with_parent(); pathlib.Path({str(file)!r}).write_text(str(os.getpid())); "
        "time.sleep(600)"
    )
    parent = subprocess.Popen(
        command(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"),
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end
        time.sleep(0.1)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    gone_or_dead(int(file.read_text()))
