"""A worker that is told to stop hands its job back, at its last checkpoint and at once."""

import os
import signal
import subprocess
import time
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.db import Database, now
from app.jobs.models import JobEvent, StageCheckpoint
from app.settings import Settings
from tests.support.finished_jobs import SMALL, STAGES, check_artifact, stages_started
from tests.support.job_store import read
from tests.support.tiny_models import texts
from tests.support.workers import (
    events,
    store_corpus,
    submit,
    wait_for_end,
    wait_until,
    worker_process,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
STEPS = 60
TRAINED = Recipe.model_validate(
    {
        "vocab_size": 0.5,
        "evaluation": {"latency": False},
        "recovery": {"max_steps": STEPS, "batch_size": 8},
    }
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that nobody lives to see the end of, and no checkpoint but for the last."""
    more = {"lease_seconds": 3600, "checkpoint_seconds": 3600}
    return settings.model_copy(update=more)


def losses(db: Database, job_id: str) -> list[dict[str, Any]]:
    with db.read() as session:
        query = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.sequence)
        return [event.data for event in session.scalars(query) if event.type == "recovery.loss"]


def stop(worker: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> None:
    """Send a signal to the worker's parent process alone; all of its processes must end in time."""
    family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    os.kill(worker.pid, number)
    worker.wait(seconds)
    _, alive = psutil.wait_procs(family[1:], timeout=2)
    assert alive == []


def check_handed_back(db: Database, job_id: str) -> None:
    """The job waits for a worker now, not for a lease, and has all its attempts."""
    job = read(db, job_id)
    assert (job.status, job.attempt, job.worker) == (Status.QUEUED, 0, None)
    assert job.due_at
    assert job.due_at <= now()
    assert events(db, job_id)[-1] == ("job.retrying", None)


@pytest.mark.parametrize(
    ("number", "remapped", "processes"),
    [
        (signal.SIGTERM, False, 1),
        # As the image runs it.
        (signal.SIGTERM, True, 1),
        (signal.SIGQUIT, False, 1),
        (signal.SIGINT, False, 1),
        (signal.SIGTERM, False, 2),
    ],
)
def test_a_stopped_workers_job_goes_on_at_the_step_where_it_was(
    settings: Settings,
    db: Database,
    blobs: Blobs,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    remapped: bool,
    processes: int,
) -> None:
    if remapped:
        monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")
    settings = settings.model_copy(update={"recovery_processes": processes, "device": "cpu"})
    corpus = store_corpus(db, blobs, texts(600))
    job = submit(db, corpus.id, "acme/tiny-bert", TRAINED)
    Dispatcher(settings).send(job.id)
    with worker_process(settings) as worker:
        wait_until(lambda: len(losses(db, job.id)) >= 2)
        stop(worker, number, settings.shutdown_seconds + 10)
    check_handed_back(db, job.id)
    with db.read() as session:
        assert session.get(StageCheckpoint, (job.id, "recover.partial"))
    assert not list(settings.workspaces.glob(f"{job.id}/*"))
    monkeypatch.delenv("REMAP_SIGTERM", raising=False)
    with worker_process(settings):
        done = wait_for_end(settings, db, job.id, 400)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 1), done.error
    assert stages_started(db, job.id) == [*STAGES[:5], *STAGES[4:]]
    # No step was done twice.
    steps = [loss["step"] for loss in losses(db, job.id)]
    assert steps == sorted(set(steps))
    check_artifact(done, blobs)


def test_a_stage_without_checkpoints_is_left_at_once(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    corpus = store_corpus(db, blobs, texts(20_000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    Dispatcher(settings).send(job.id)
    with worker_process(settings) as worker:
        wait_until(lambda: "tokenizer" in stages_started(db, job.id))
        stop(worker, signal.SIGTERM, settings.shutdown_seconds)
    check_handed_back(db, job.id)
    with worker_process(settings):
        done = wait_for_end(settings, db, job.id, 400)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 1), done.error
    assert stages_started(db, job.id) == [*STAGES[:3], *STAGES[2:]]


def test_a_stuck_stage_does_not_hold_up_the_end(
    settings: Settings, db: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(
        update={"shutdown_seconds": 3, "extensions": ["tests.hostile_extension"]}
    )
    act = settings.data_dir.parent / "act"
    act.write_text("tokenizer hold")
    monkeypatch.setenv("FVT_TEST_ACT", str(act))
    corpus = store_corpus(db, blobs, texts(800))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    Dispatcher(settings).send(job.id)
    with worker_process(settings) as worker:
        wait_until(lambda: "tokenizer" in stages_started(db, job.id))
        began = time.monotonic()
        stop(worker, signal.SIGTERM, 15)
        # The worker counts from the signal, and the clocks of two processes differ a little.
        assert time.monotonic() - began > 0.9 * settings.shutdown_seconds
    check_handed_back(db, job.id)


def test_an_idle_worker_stops_at_once(settings: Settings, db: Database) -> None:
    assert db
    with worker_process(settings) as worker:
        log = settings.data_dir / "worker.log"
        wait_until(lambda: " ready." in log.read_text())
        stop(worker, signal.SIGTERM, 10)


def test_a_killed_parent_leaves_no_process(settings: Settings, db: Database, blobs: Blobs) -> None:
    corpus = store_corpus(db, blobs, texts(20_000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    Dispatcher(settings).send(job.id)
    with worker_process(settings) as worker:
        wait_until(lambda: "tokenizer" in stages_started(db, job.id))
        family = psutil.Process(worker.pid).children(recursive=True)
        assert len(family) >= 2
        os.kill(worker.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
    # Nobody was left to hand it back: that is what the lease is for.
    assert read(db, job.id).status == Status.RUNNING
