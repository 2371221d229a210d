"""The stages of a job, in order; each says how it is done in a module of its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.context import JobContext, StageProgress
from worker.stages.corpus import split_corpus
from worker.stages.evaluate import evaluate
from worker.stages.package import package
from worker.stages.resolve import resolve
from worker.stages.tokenizer import train
from worker.stages.transfer import transfer


@dataclass(frozen=True)
class Stage:
    """A part of a job that is done once: `run` fills an empty folder, and reads earlier ones."""

    name: str
    run: Callable[[JobContext, Path, StageProgress], None]
    share: float
    """How much of a job's time it usually takes."""


STAGES = (
    Stage("resolve", resolve, 0.15),
    Stage("corpus", split_corpus, 0.05),
    Stage("tokenizer", train, 0.45),
    Stage("transfer", transfer, 0.05),
    Stage("evaluate", evaluate, 0.25),
    Stage("package", package, 0.05),
)
SHARES = {stage.name: stage.share for stage in STAGES}
