"""What is asked of a recovery."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from worker.compression.progress import Progress, silent

Preset = Literal["fast", "balanced", "max"]


@dataclass(frozen=True)
class RecoveryOptions:
    """What a user may say; None is left to the preset.

    ``objective`` is ``auto``, ``none``, or names of objectives joined by ``+``. ``max_length`` is
    in tokens, ``keep_layers`` the number of layers that stay, ``embedding_steps`` how many of the
    first steps train the vocabulary alone. ``most_minutes`` is what whoever runs this allows: it
    holds whatever else is said.
    """

    preset: Preset = "balanced"
    objective: str = "auto"
    epochs: float | None = None
    max_steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    max_length: int | None = None
    keep_layers: int | None = None
    max_minutes: float | None = None
    embedding_steps: int = 0
    most_minutes: float | None = None


@dataclass(frozen=True)
class LossPoint:
    """Losses after a step: of training, since the point before; of texts kept from it, or None."""

    step: int
    train: float
    held_out: float | None


@dataclass(frozen=True)
class Recovery:
    """The objective that was asked for, the one that was used and why, and how it went.

    ``seconds`` counts training alone, over all attempts; ``tokens_per_second`` are the student's,
    without padding. ``stopped_by`` is ``steps``, ``max_minutes``, ``held_out_loss`` or
    ``non_finite_loss``; ``kept_step`` is the step whose weights were kept. ``keep_layers`` is the
    number of layers that were kept, None where all were. ``processes`` trained together, each on a
    GPU of its own.
    """

    objective: str = "auto"
    used: str = "none"
    reason: str = ""
    preset: str = "balanced"
    steps: int = 0
    planned_steps: int = 0
    kept_step: int = 0
    epochs: float = 0.0
    batch_size: int = 0
    learning_rate: float = 0.0
    seconds: float = 0.0
    tokens: int = 0
    tokens_per_second: float = 0.0
    device: str = ""
    processes: int = 1
    stopped_by: str | None = None
    warning: str | None = None
    keep_layers: int | None = None
    loss: list[LossPoint] = field(default_factory=list)


@dataclass(frozen=True)
class RecoveryCallbacks:
    """Who follows a recovery, and where its state is kept meanwhile.

    Where ``file`` holds a state of the same run, training goes on from there. ``saved`` is called
    after each time it was written, ``on_point`` with each point of the loss curve.
    """

    progress: Progress = silent
    on_point: Callable[[LossPoint], None] = lambda _: None
    file: Path | None = None
    every_seconds: float = 60.0
    saved: Callable[[], None] = lambda: None
