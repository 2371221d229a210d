"""Show in a terminal how far a job or a transfer is, without another library."""

import sys
from collections.abc import Callable
from typing import TextIO

from .contract.jobs import JobView

WIDTH = 30
JobProgress = bool | None | Callable[[JobView], None]
"""True or False for a bar; None for one where standard error is a terminal; or a function."""
BytesProgress = bool | None | Callable[[int, int], None]
"""The same; the function gets the bytes that are over there, and all of them."""


class Bar:
    """A line on standard error that is written over until it is done."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = ""

    def show_job(self, job: JobView) -> None:
        """Bring the line up to a job."""
        progress = job.progress
        left = "" if progress.eta_seconds is None else f", about {progress.eta_seconds:.0f} s left"
        self._draw(progress.fraction, f"{job.status}: {progress.message}{left}", job.is_over)

    def show_bytes(self, have: int, whole: int) -> None:
        """Bring the line up to a transfer."""
        share = have / whole if whole else 1.0
        self._draw(share, f"{have / 1e6:,.1f} of {whole / 1e6:,.1f} MB", have >= whole)

    def _draw(self, share: float, text: str, done: bool) -> None:
        full = round(WIDTH * min(share, 1.0))
        line = f"[{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%} {text}"[:110]
        if line != self._shown:
            self._stream.write(f"\r{line:<{len(self._shown)}}" + ("\n" if done else ""))
            self._stream.flush()
            self._shown = "" if done else line


def show_job(progress: JobProgress) -> Callable[[JobView], None]:
    """Return what shows a job's progress as it was asked for."""
    if callable(progress):
        return progress
    wanted = sys.stderr.isatty() if progress is None else progress
    return Bar().show_job if wanted else lambda _: None


def show_bytes(progress: BytesProgress) -> Callable[[int, int], None]:
    """Return what shows a transfer's progress as it was asked for."""
    if callable(progress):
        return progress
    wanted = sys.stderr.isatty() if progress is None else progress
    return Bar().show_bytes if wanted else lambda _have, _all: None
