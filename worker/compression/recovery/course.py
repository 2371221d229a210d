"""What a training loop is to do, and where it keeps how far it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.compression.progress import Progress
from worker.compression.recovery.outcome import LossPoint
from worker.compression.recovery.schedule import Plan
from worker.compression.recovery.texts.rounds import Batch, Rounds


@dataclass(frozen=True)
class Checkpoint:
    """Where a recovery keeps how far it is, how often, and who is told.

    ``run`` says what the file belongs to: another run's is not read.
    """

    file: Path
    run: str
    every_seconds: float = 60.0
    saved: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Course:
    """What a loop is to do; ``held_out`` may be empty."""

    rounds: Rounds
    held_out: Sequence[Batch]
    plan: Plan
    progress: Progress
    on_point: Callable[[LossPoint], None] = lambda _: None
    checkpoint: Checkpoint | None = None
