"""The stages of a job, in order; each says how it is done in a module of its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.context import JobContext, StageProgress
from worker.stages.check import check
from worker.stages.corpus import split_corpus
from worker.stages.evaluate import USUAL_SECONDS, evaluate
from worker.stages.export import export
from worker.stages.package import package
from worker.stages.recover import recover_models
from worker.stages.resolve import resolve
from worker.stages.tokenizer import train
from worker.stages.transfer import transfer


@dataclass(frozen=True)
class Stage:
    """A part of a job that is done once: `run` fills an empty folder, and reads earlier ones."""

    name: str
    run: Callable[[JobContext, Path, StageProgress], None]
    usual_seconds: float = 0.0
    """On two CPU cores, a small model and one size, but for what the recipe says: they tell how
    far a job is."""
    saves_when_stopped: bool = False
    """True of a stage that, told to stop, keeps a checkpoint and raises `StoppedError` itself."""


STAGES = (
    Stage("resolve", resolve, 1),
    Stage("corpus", split_corpus, 1),
    Stage("tokenizer", train, 10),
    Stage("transfer", transfer, 1),
    Stage("recover", recover_models, saves_when_stopped=True),
    Stage("check", check, 6),
    Stage("export", export, 4),
    Stage("evaluate", evaluate, USUAL_SECONDS),
    Stage("package", package, 2),
)


def shares(recovery_seconds: float, task_seconds: float) -> dict[str, float]:
    """Return the seconds that each stage usually takes, with such a recovery and task."""
    usual = {stage.name: stage.usual_seconds for stage in STAGES}
    by_recipe = {"recover": recovery_seconds, "evaluate": task_seconds}
    return {name: seconds + by_recipe.get(name, 0.0) for name, seconds in usual.items()}
