"""Hit a worker exactly at a point of a job: before and after each thing that a stage writes.

A job carries the point in its metadata, as `{"chaos": "killed@recover.saved"}`. It is hit there
once, whichever attempt comes by first; a file in the folder of `FVT_CHAOS_POINTS` says that it was.
"""

import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from tests.chaos.points import CLEARING, ENDED, ENDING, Hit, point
from worker.workspace import Workspace

HITS: dict[str, Callable[[], None]] = {
    Hit.CHILD_KILLED: lambda: os.kill(os.getpid(), signal.SIGKILL),
    Hit.CHILD_FROZEN: lambda: os.kill(os.getpid(), signal.SIGSTOP),
    Hit.WORKER_KILLED: lambda: worker().kill(),
}


def worker() -> psutil.Process:
    """The worker's own process: all below it are forks, and look like it."""
    here = psutil.Process()
    while (above := here.parent()) and above.cmdline() == here.cmdline():
        here = above
    return here


job_here: dict[str, Any] = {}
"""The job that this process runs, once it has begun a stage: a process runs no other."""


@cache
def armed(db: Database, job_id: str) -> str:
    """The hit and the point that a job asks for; empty for none."""
    with db.read() as session:
        job = session.get(Job, job_id)
        return str(job.labels.get("chaos", "")) if job else ""


def pass_by(where: str) -> None:
    """Be hit where this is the job's point, and it was not hit before."""
    if not job_here:
        return
    hit, _, wanted = armed(job_here["db"], job_here["id"]).partition("@")
    if wanted != where:
        return
    note = Path(os.environ["FVT_CHAOS_POINTS"]) / job_here["id"]
    try:
        with note.open("x") as file:
            file.write(f"{hit} {where} {os.getpid()}")
    except FileExistsError:
        return
    HITS[hit]()


start_stage = transitions.start_stage
finish_stage = transitions.finish_stage
succeed = transitions.succeed
save = Workspace.save
clear = Workspace.clear


def start_stage_and_pass(db: Database, claim: transitions.Claim, stage: str, *rest: Any) -> None:
    job_here.update(db=db, id=claim.job_id)
    start_stage(db, claim, stage, *rest)
    pass_by(point(stage, "begun"))


def finish_stage_and_pass(db: Database, claim: transitions.Claim, stage: str, *rest: Any) -> None:
    pass_by(point(stage, "saved"))
    finish_stage(db, claim, stage, *rest)
    pass_by(point(stage, "kept"))


def succeed_and_pass(*given: Any, **values: Any) -> Any:
    pass_by(ENDING)
    status = succeed(*given, **values)
    pass_by(ENDED)
    return status


def save_and_pass(workspace: Workspace, stage: str) -> Any:
    pass_by(point(stage, "ran"))
    return save(workspace, stage)


def clear_and_pass(workspace: Workspace) -> None:
    # Twice is as good as once: so there is a moment at which half of it is done.
    workspace.leave()
    pass_by(CLEARING)
    clear(workspace)


for owner, name, passing in (
    (transitions, "start_stage", start_stage_and_pass),
    (transitions, "finish_stage", finish_stage_and_pass),
    (transitions, "succeed", succeed_and_pass),
    (Workspace, "save", save_and_pass),
    (Workspace, "clear", clear_and_pass),
):
    assert hasattr(owner, name), f"there is no {name} to pass by"
    setattr(owner, name, passing)
