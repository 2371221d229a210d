"""What is asked of a recovery."""

from dataclasses import dataclass
from typing import Literal

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
