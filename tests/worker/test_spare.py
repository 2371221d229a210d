"""A process forked before a job: it runs what it is told, in nothing but what was there then."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.workers import wait_until
from worker.compression.errors import LibraryCrashedError
from worker.compression.subprocesses import failure
from worker.spare import Spare

MODULE = "tests.worker.told"


def nothing() -> None:
    """A callback."""


@pytest.fixture
def spare() -> Iterator[Spare]:
    made = Spare()
    yield made
    if made.poll() is None:
        os.kill(made.pid, signal.SIGKILL)
        made.wait()


def run(spare: Spare, *arguments: str | Path) -> tuple[int | None, str]:
    with spare.run(MODULE, arguments) as child:
        output = "".join(child.lines(nothing))
        return child.wait(nothing), output


def test_it_runs_a_module_as_a_command(spare: Spare) -> None:
    arguments = ["a folder/with\nlines", ""]
    status, output = run(spare, "say", *arguments)
    assert output == f"say {arguments} None\nand its errors: ä\n"
    assert status == 3


def test_it_knows_nothing_of_what_came_after_it(
    spare: Spare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FVT_TOLD", "later")
    assert run(spare, "say")[1].startswith("say [] None\n")
    assert run(Spare(), "say")[1].startswith("say [] later\n")


@pytest.mark.parametrize(("act", "ended"), [("crash", -signal.SIGSEGV), ("panic", 1)])
def test_a_crash_shows_in_its_status_or_output(spare: Spare, act: str, ended: int) -> None:
    status, output = run(spare, act)
    assert status == ended
    assert isinstance(failure("It", status, output), LibraryCrashedError)


def test_leaving_the_block_ends_it_whatever_it_does(spare: Spare) -> None:
    with spare.run(MODULE, ["hold"]):
        assert spare.poll() is None
    assert spare.wait(0) == -signal.SIGTERM


def test_it_ends_at_once_even_before_it_ran() -> None:
    # A worker of Celery has a handler of its own; it is not to answer in the place of the fork.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        for _ in range(10):
            made = Spare()
            with made.run(MODULE, ["hold"]):
                pass
            assert made.wait(0) == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_it_started_ends_with_it(spare: Spare) -> None:
    with spare.run(MODULE, ["leave"]) as child:
        lines = child.lines(nothing)
        next(lines)
        (started,) = [p for p in psutil.process_iter() if p.pid != spare.pid and _is_of(p, spare)]
        assert child.wait(nothing) == 3
    wait_until(lambda: not started.is_running() or started.status() == psutil.STATUS_ZOMBIE, 5)


def _is_of(process: psutil.Process, spare: Spare) -> bool:
    try:
        return os.getpgid(process.pid) == spare.pid
    except ProcessLookupError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends processes with their parents")
@pytest.mark.parametrize("used", [False, True])
def test_it_ends_with_the_process_that_forked_it(used: bool) -> None:
    told, tell = os.pipe()
    if not (parent := os.fork()):
        try:
            spare = Spare()
            os.write(tell, str(spare.pid).encode())
            if used:
                with spare.run(MODULE, ["hold"]):
                    signal.pause()
            signal.pause()
        finally:
            os._exit(1)
    process = psutil.Process(int(os.read(told, 20)))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 5)
