"""Progress of a whole job out of the progress of its stages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.jobs.transitions import LeaseLostError

REPORT_EVERY_SECONDS = 1.0
SILENT_SECONDS = 8.0
"""After so long without news there is some, also while a library's own code runs."""
_BEAT_SECONDS = 2.0
_TRUSTED_FRACTION = 0.25
"""From here on, a stage's own speed counts alone for the time that it will take."""
_KNOWN_SECONDS = 10.0
"""Usual time that says as much of a machine's speed as it is assumed to have."""
_SLOWEST, _FASTEST = 8.0, 0.1
"""Of a machine, in the usual machine's times."""

Report = Callable[[float, str, float | None], None]
"""Called with the fraction of the job, a message and the seconds that are left, if known."""


class JobProgress:
    """Maps the stages' fractions to the job's, and passes on about one report a second.

    `usual` says how many seconds each stage usually takes, in their order. The seconds left are
    those of the running stage, by its own speed as that is known, and of the later ones, as much
    slower or faster than usual as the earlier ones were. It may be called from several threads.
    """

    def __init__(self, usual: dict[str, float], report: Report) -> None:
        total = sum(usual.values())
        self._usual = usual
        self._starts: dict[str, float] = {}
        start = 0.0
        for stage, seconds in usual.items():
            self._starts[stage] = start
            start += seconds / total
        self._total = total
        self._report = report
        self._lock = threading.Lock()
        self._reported_at = time.monotonic() - REPORT_EVERY_SECONDS
        self._news_at = self._reported_at
        self._stage: str | None = None
        self._began_at = 0.0
        self._fraction, self._message = 0.0, ""
        self._spent = self._spent_usually = 0.0

    def start_of(self, stage: str) -> float:
        """The fraction of the job at which a stage begins."""
        return self._starts[stage]

    def finished(self, stage: str, seconds: float) -> None:
        """Take the time of a stage that ended: it tells how fast this machine is."""
        with self._lock:
            # A download, say, tells nothing of how fast the machine computes.
            self._spent += min(seconds, _SLOWEST * self._usual[stage])
            self._spent_usually += self._usual[stage]
            self._stage = None

    def update(self, stage: str, fraction: float, message: str) -> None:
        """Take `fraction` of a stage; what comes within a second of the last report is dropped."""
        with self._lock:
            now = time.monotonic()
            if stage != self._stage:
                self._stage, self._began_at, self._fraction = stage, now, 0.0
            # What is left may turn out to be more; what is done stays done.
            self._fraction, self._message = min(max(fraction, self._fraction), 1.0), message
            self._news_at = now
            if now - self._reported_at >= REPORT_EVERY_SECONDS:
                self._send(now, message)

    def beat(self) -> None:
        """Say that the last thing goes on, where nothing has been reported for a while."""
        with self._lock:
            now = time.monotonic()
            if self._stage is None or now - self._reported_at < SILENT_SECONDS:
                return
            self._send(now, f"{self._message}, for {now - self._news_at:.0f} s")

    def _send(self, now: float, message: str) -> None:
        assert self._stage is not None
        self._reported_at = now
        width = self._usual[self._stage] / self._total
        whole = self._starts[self._stage] + width * self._fraction
        self._report(whole, message, round(self._left(now - self._began_at), 1))

    def _left(self, seconds: float) -> float:
        """Return the seconds left, after so many of the running stage."""
        stages = list(self._usual)
        later = sum(self._usual[name] for name in stages[stages.index(self._stage or "") + 1 :])
        speed = self._slowness()
        expected = self._usual[self._stage or ""] * speed
        if self._fraction > 0:
            trust = min(1.0, self._fraction / _TRUSTED_FRACTION)
            expected = trust * seconds / self._fraction + (1 - trust) * max(expected, seconds)
        return max(0.0, expected - seconds) + later * speed

    def _slowness(self) -> float:
        """Return how many times longer than usual this machine takes, by what has ended."""
        ratio = (self._spent + _KNOWN_SECONDS) / (self._spent_usually + _KNOWN_SECONDS)
        return min(max(ratio, _FASTEST), _SLOWEST)


@contextmanager
def beating(progress: JobProgress) -> Iterator[None]:
    """Have a thread see to it, while the block runs, that there is no long silence."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(_BEAT_SECONDS):
            try:
                progress.beat()
            except LeaseLostError:
                return  # the watchdog finds it out too, and ends this process

    thread = threading.Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
