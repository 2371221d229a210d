import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.progress import SILENT_SECONDS, JobProgress

Reports = list[tuple[float, str, float | None]]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_maps_a_stages_fraction_to_the_jobs_and_foretells_its_end(clock: Clock) -> None:
    reports: Reports = []
    whole = JobProgress({"a": 10.0, "b": 30.0}, lambda *report: reports.append(report))
    whole.update("a", 0.0, "begin")
    clock.now += 10.0
    whole.update("a", 0.5, "half of a")
    clock.now += 10.0
    whole.finished("a", 20.0)
    whole.update("b", 0.0, "b")
    assert reports == [
        (0.0, "begin", 40.0),
        # Half of it took 10 s: 10 s more, and the 30 s of the next.
        (0.125, "half of a", 40.0),
        # Ten usual seconds took 20, and ten more are taken for granted: 1.5 times slower.
        (0.25, "b", 45.0),
    ]


def test_passes_on_one_report_a_second(clock: Clock) -> None:
    reports: Reports = []
    whole = JobProgress({"a": 1.0}, lambda *report: reports.append(report))
    for now, fraction in zip((100.0, 100.5, 101.0, 101.9), (0.1, 0.2, 0.3, 0.4), strict=True):
        clock.now = now
        whole.update("a", fraction, "")
    assert [fraction for fraction, _, _ in reports] == [0.1, 0.3]


def test_stays_within_the_stage_whatever_it_is_told() -> None:
    reports: Reports = []
    JobProgress({"a": 1.0, "b": 1.0}, lambda *report: reports.append(report)).update("a", 7.0, "")
    assert reports[0][0] == pytest.approx(0.5)


def test_never_goes_back(clock: Clock) -> None:
    reports: Reports = []
    whole = JobProgress({"a": 1.0}, lambda *report: reports.append(report))
    for fraction in (0.5, 0.2, 0.6):
        whole.update("a", fraction, "")
        clock.now += 1.0
    assert [fraction for fraction, _, _ in reports] == [0.5, 0.5, 0.6]


def test_a_long_silence_is_broken_with_what_goes_on(clock: Clock) -> None:
    reports: Reports = []
    whole = JobProgress({"a": 20.0, "b": 20.0}, lambda *report: reports.append(report))
    whole.beat()  # before anything began
    whole.update("a", 0.5, "training the tokenizer")
    clock.now += SILENT_SECONDS - 0.1
    whole.beat()
    assert len(reports) == 1
    clock.now += 4.1
    whole.beat()
    fraction, message, left = reports[-1]
    assert (fraction, message) == (0.25, "training the tokenizer, for 12 s")
    assert left is not None
    assert left > 20
    whole.finished("a", 12.0)
    clock.now += 60.0
    whole.beat()
    assert len(reports) == 2


@given(
    usual=st.lists(st.floats(0.1, 500), min_size=1, max_size=6),
    slowness=st.floats(0.3, 6),
)
def test_the_time_left_is_within_a_factor_of_two_once_a_machine_is_known(
    usual: list[float], slowness: float
) -> None:
    """Each stage takes so many times its usual time; looked at from its middle on."""
    patched = pytest.MonkeyPatch()
    clock, reports = Clock(), Reports()
    patched.setattr(time, "monotonic", clock)
    try:
        names = [str(number) for number in range(len(usual))]
        whole = JobProgress(dict(zip(names, usual, strict=True)), lambda *r: reports.append(r))
        for name, seconds in zip(names, usual, strict=True):
            left = slowness * sum(usual[int(name) :])
            whole.update(name, 0.0, "")
            clock.now += slowness * seconds / 2
            before = len(reports)
            whole.update(name, 0.5, "")
            clock.now += slowness * seconds / 2
            whole.finished(name, slowness * seconds)
            spent = sum(usual[: int(name)])
            if len(reports) == before or spent < 60:
                continue
            told = reports[-1][2]
            true = left - slowness * seconds / 2
            assert told is not None
            assert true / 2 - 0.1 <= told <= 2 * true + 0.1
    finally:
        patched.undo()


def test_takes_calls_from_several_threads() -> None:
    seen: Reports = []
    whole = JobProgress({"a": 1.0}, lambda *report: seen.append(report))
    works: list[Callable[[], None]] = [lambda: whole.update("a", 0.5, "x"), whole.beat] * 20
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1
