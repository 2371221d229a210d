"""Define what a recovery is asked for, and whom it calls on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.contract.budgets import QUERY_RATE, QUERY_SHARE, Preset
from app.contract.report import LossPoint
from worker.compression.progress import Progress, silent


@dataclass(frozen=True)
class RecoveryOptions:
    """Hold what a user may ask for; None is left to the preset.

    ``objective`` is ``auto``, ``none``, or names of objectives joined by ``+``. ``max_length`` is
    in tokens, ``keep_layers`` the number of layers that stay, ``embedding_steps`` how many of the
    first steps train the vocabulary alone. ``general_share`` is the share of the texts that are
    general, where there are such. ``pseudo_queries`` makes queries of the documents where none are
    given; where there are queries, ``query_share`` of the steps, the last ones, train on them, with
    ``query_rate`` of the highest rate. In the last steps, ``four_bit_share`` of all, the student
    computes with its weights in four bits, so that a file of these keeps more; a long
    distillation then keeps the numbers that matrices read close together. ``most_minutes`` is
    what whoever runs this allows: it holds whatever else is asked for. ``share`` is the part of a
    preset, or of the time, that this one of several models has.
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
    general_share: float = 0.0
    pseudo_queries: bool = False
    query_share: float = QUERY_SHARE
    query_rate: float = QUERY_RATE
    four_bit_share: float = 0.0
    most_minutes: float | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Replanned:
    """Tell that time is short for the ``planned_steps``, and how many there are likely to be."""

    planned_steps: int
    steps: int


@dataclass(frozen=True)
class RecoveryCallbacks:
    """Follow a recovery, and say where its state is kept meanwhile.

    ``progress`` is called at every step, ``on_point`` with each point of the loss curve,
    ``on_plan`` where time is short for the steps that were planned, ``saved`` each time a
    checkpoint was written to ``file``, every ``every_seconds``, and after a step at which
    ``must_save`` says so; an exception raised from it stops the training. Where ``file`` holds a
    checkpoint of the same run, training goes on from there.
    """

    progress: Progress = silent
    on_point: Callable[[LossPoint], None] = lambda _: None
    on_plan: Callable[[Replanned], None] = lambda _: None
    file: Path | None = None
    every_seconds: float = 60.0
    saved: Callable[[], None] = lambda: None
    must_save: Callable[[], bool] = lambda: False
