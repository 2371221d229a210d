"""What a recovery tells while it runs, and where it keeps its state."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.compression.progress import Progress, silent
from worker.compression.recovery.outcome import LossPoint


@dataclass(frozen=True)
class Watch:
    """Who follows a recovery, and where its state is kept meanwhile.

    Where ``file`` holds a state of the same run, training goes on from there. ``saved`` is called
    after each time it was written, ``on_point`` with each point of the loss curve.
    """

    progress: Progress = silent
    on_point: Callable[[LossPoint], None] = lambda _: None
    file: Path | None = None
    every_seconds: float = 60.0
    saved: Callable[[], None] = lambda: None
