"""The points of a job at which a worker is hit, and the ways to hit it."""

from enum import StrEnum
from itertools import product

from tests.support.finished_jobs import STAGES

MOMENTS = ("begun", "ran", "saved", "kept")
"""Of a stage: its start is written down; it has done its work; its files are mirrored; so is that
it is done."""
ENDING, ENDED, CLEARING = "end.near", "end.written", "end.clearing"


class Hit(StrEnum):
    """A way to hit a worker, by its pool process that runs the job."""

    CHILD_KILLED = "child-killed"
    CHILD_FROZEN = "child-frozen"
    WORKER_KILLED = "worker-killed"


def point(stage: str, moment: str) -> str:
    return f"{stage}.{moment}"


POINTS = (*(point(*pair) for pair in product(STAGES, MOMENTS)), ENDING, ENDED, CLEARING)


def every_hit() -> list[str]:
    """Every way to hit a worker at every point, as a job's metadata names it."""
    return [f"{hit}@{where}" for hit, where in product(Hit, POINTS)]
