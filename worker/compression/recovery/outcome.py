"""What a recovery did, as the report tells it."""

from dataclasses import dataclass, field


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
