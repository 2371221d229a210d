"""Progress of a whole job out of the progress of its stages."""

import time
from collections.abc import Callable

REPORT_EVERY_SECONDS = 1.0

Report = Callable[[float, str, float | None], None]
"""Called with the fraction of the job, a message and the seconds that are left, if known."""


class JobProgress:
    """Maps the stages' fractions to the job's, and passes on about one report a second.

    `shares` says how much of the whole each stage usually takes; they need not sum to one.
    """

    def __init__(self, shares: dict[str, float], report: Report) -> None:
        total = sum(shares.values())
        self._starts: dict[str, float] = {}
        self._widths = {stage: share / total for stage, share in shares.items()}
        start = 0.0
        for stage, width in self._widths.items():
            self._starts[stage] = start
            start += width
        self._report = report
        self._reported_at = 0.0
        self._began_at: float | None = None
        self._began_fraction = 0.0

    def start_of(self, stage: str) -> float:
        """The fraction of the job at which a stage begins."""
        return self._starts[stage]

    def update(self, stage: str, fraction: float, message: str) -> None:
        """Take `fraction` of a stage; what comes within a second of the last report is dropped."""
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY_SECONDS:
            return
        self._reported_at = now
        whole = self._starts[stage] + self._widths[stage] * min(max(fraction, 0.0), 1.0)
        self._report(whole, message, self._eta(whole, now))

    def _eta(self, fraction: float, now: float) -> float | None:
        """Time at the speed seen since this attempt's first report."""
        if self._began_at is None:
            self._began_at, self._began_fraction = now, fraction
        done = fraction - self._began_fraction
        if done <= 0:
            return None
        return round((now - self._began_at) * (1 - fraction) / done, 1)
