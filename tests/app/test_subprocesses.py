"""Calls in processes apart: their results and faults, their memory, and their end."""

import operator
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from app.contract.errors import UserFault
from app.subprocesses import BrokenCallError, OutOfMemoryError, Subprocesses

GIB = 1 << 30


@pytest.fixture
def subprocesses() -> Iterator[Subprocesses]:
    made = Subprocesses(2)
    yield made
    made.close()


def children() -> list[psutil.Process]:
    found = psutil.Process().children()
    return [child for child in found if "app.subprocesses" in child.cmdline()]


def test_results_and_faults_come_back(subprocesses: Subprocesses) -> None:
    assert subprocesses.run(GIB, divmod, 17, 5) == (3, 2)
    assert subprocesses.run(GIB, os.getpid) == children()[0].pid
    with pytest.raises(BrokenCallError, match="ZeroDivisionError"):
        subprocesses.run(GIB, divmod, 1, 0)
    with pytest.raises(UserFault) as fault:
        subprocesses.run(GIB, refuse, "line_too_long")
    assert (fault.value.code, fault.value.message) == ("line_too_long", "too long")
    assert len(children()) == 1


def refuse(code: str) -> None:
    raise UserFault(code, "too long")


def test_memory_is_limited_and_given_back(
    subprocesses: Subprocesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutOfMemoryError):
        subprocesses.run(GIB // 2, operator.mul, b"x", GIB)
    before = children()
    monkeypatch.setattr("app.subprocesses.KEPT_BYTES", 100 << 20)
    assert len(subprocesses.run(GIB, operator.mul, b"x", 100 << 20)) == 100 << 20
    # The process that held as much is gone.
    assert not {child.pid for child in before} & {child.pid for child in children()}


def test_a_process_that_dies_is_replaced(subprocesses: Subprocesses) -> None:
    pid = subprocesses.run(GIB, os.getpid)
    with pytest.raises(OutOfMemoryError):
        subprocesses.run(GIB, os._exit, 3)
    os_kill = subprocesses.run(GIB, os.getpid)
    assert os_kill != pid
    os.kill(os_kill, signal.SIGKILL)
    # It is left to be collected, as it would be where it died by itself.
    os.waitid(os.P_PID, os_kill, os.WEXITED | os.WNOWAIT)
    assert subprocesses.run(GIB, divmod, 4, 2) == (2, 0)


def test_no_more_run_at_once_than_there_are(subprocesses: Subprocesses) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: subprocesses.run(GIB, time.sleep, 0.1), range(8)))
    assert len(children()) == 2


def test_they_end_with_their_service(subprocesses: Subprocesses) -> None:
    subprocesses.run(GIB, os.getpid)
    [child] = children()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(subprocesses.run, GIB, time.sleep, 60)
        time.sleep(0.3)
        subprocesses.close()
        with pytest.raises((OutOfMemoryError, BrokenCallError)):
            running.result(10)
    assert psutil.wait_procs([child], timeout=5)[1] == []
