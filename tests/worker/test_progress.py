import itertools
import time

import pytest

from worker.progress import JobProgress

Reports = list[tuple[float, str, float | None]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds pass between any two looks at the clock."""
    ticks = itertools.count(100.0, 2.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))


@pytest.mark.usefixtures("clock")
def test_maps_a_stages_fraction_to_the_jobs_and_foretells_its_end() -> None:
    reports: Reports = []
    whole = JobProgress({"a": 1.0, "b": 3.0}, lambda *report: reports.append(report))
    whole.update("a", 0.0, "begin")
    whole.update("a", 1.0, "half of a")
    whole.update("b", 0.5, "b")
    assert reports == [
        (0.0, "begin", None),
        # A quarter in 2 s: three more quarters take 6 s.
        (0.25, "half of a", 6.0),
        # 5/8 in 4 s: 3/8 take 2.4 s.
        (0.625, "b", 2.4),
    ]


def test_passes_on_one_report_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 100.5, 101.0, 101.9])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    reports: Reports = []
    whole = JobProgress({"a": 1.0}, lambda *report: reports.append(report))
    for fraction in (0.1, 0.2, 0.3, 0.4):
        whole.update("a", fraction, "")
    assert [fraction for fraction, _, _ in reports] == [0.1, 0.3]


def test_stays_within_the_stage_whatever_it_is_told() -> None:
    reports: Reports = []
    JobProgress({"a": 1.0, "b": 1.0}, lambda *report: reports.append(report)).update("a", 7.0, "")
    assert reports[0][0] == pytest.approx(0.5)
