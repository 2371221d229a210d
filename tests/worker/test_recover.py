"""Recovery in a job: killed, resumed, cancelled, and left out."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job, JobEvent, StageCheckpoint
from app.jobs.transitions import LeaseLostError
from app.settings import Settings
from tests.support.finished_jobs import STAGES, check_artifact, stages_started
from tests.support.in_process import report_of, run, unpack
from tests.support.tiny_models import texts
from tests.support.workers import (
    kill,
    store_corpus,
    submit,
    wait_for_end,
    wait_until,
    worker_process,
)
from worker import runner
from worker.context import load_context
from worker.stages import STAGES as STAGES_RUN
from worker.stages import shares


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"checkpoint_seconds": 0.3})


def training(**recovery: Any) -> Recipe:
    recipe = {"vocab_size": 0.5, "evaluation": {"latency": False}, "recovery": recovery}
    return Recipe.model_validate(recipe)


def partial(db: Database, job_id: str) -> dict[str, Any] | None:
    with db.read() as session:
        found = session.get(StageCheckpoint, (job_id, "recover.partial"))
        return found.outputs if found else None


def losses(db: Database, job_id: str) -> Iterator[dict[str, Any]]:
    with db.read() as session:
        query = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.sequence)
        yield from (e.data for e in session.scalars(query) if e.type == "recovery.loss")


@pytest.mark.slow
def test_a_worker_killed_amid_training_leaves_a_state_to_go_on_from(
    settings: Settings,
    db: Database,
    blobs: Blobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = store_corpus(db, blobs, texts(600))
    job = submit(db, corpus.id, "acme/tiny-bert", training(max_steps=100, batch_size=32))
    Dispatcher(settings).send(job.id)
    with worker_process(settings) as process:
        wait_until(lambda: len(list(losses(db, job.id))) >= 2 and partial(db, job.id) is not None)
        kill(process)
    # The next worker is on another machine: all it has is the database and the blobs.
    elsewhere = settings.model_copy(
        update={
            "data_dir": tmp_path / "elsewhere",
            "database_url": settings.database_url,
            "blobs_url": settings.blobs_url,
        }
    )
    with worker_process(elsewhere):
        done = wait_for_end(settings, db, job.id)
        wait_until(lambda: not blobs.keys(f"{done.blob_prefix}/stages"), 10)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2), done.error
    assert stages_started(db, job.id) == [*STAGES[:5], *STAGES[4:]]
    report = report_of(unpack(done, blobs, tmp_path))
    steps = [point["step"] for point in report["recovery"]["loss"]]
    assert steps == [10 * n for n in range(1, 11)]
    # The second attempt did not begin anew: no step was seen twice, but for those after a save.
    assert len(list(losses(db, job.id))) < 2 * len(steps) - 1
    monkeypatch.setattr(runner, "STAGES", [s for s in STAGES_RUN if s.name != "check"])
    again = run(settings, db, blobs, corpus_texts=texts(600), **done.recipe)
    (tmp_path / "again").mkdir()
    other = report_of(unpack(again, blobs, tmp_path / "again"))
    for one, two in zip(other["recovery"]["loss"], report["recovery"]["loss"], strict=True):
        assert one == pytest.approx(two, rel=1e-4)
    for one, two in zip(other["quality"], report["quality"], strict=True):
        assert one["after"] == pytest.approx(two["after"], rel=1e-3)
    check_artifact(done, blobs)
    assert partial(db, job.id) is None


@pytest.mark.slow
def test_a_job_can_be_cancelled_amid_training(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    corpus = store_corpus(db, blobs, texts(3000))
    job = submit(db, corpus.id, "acme/tiny-bert", training(max_steps=100_000))
    Dispatcher(settings).send(job.id)
    with worker_process(settings):
        wait_until(lambda: partial(db, job.id) is not None)
        with db.write() as session:
            transitions.request_cancel(session, session.get_one(Job, job.id))
        asked = time.monotonic()
        done = wait_for_end(settings, db, job.id, seconds=10)
    assert done.status == Status.CANCELLED
    assert time.monotonic() - asked < 5


@pytest.mark.slow
def test_a_job_recovers_and_says_so(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    job = run(
        settings, db, blobs, vocab_size=[0.5, 0.4], recovery={"max_steps": 12, "keep_layers": 1}
    )
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    recovery = report_of(folder)["recovery"]
    assert (recovery["used"], recovery["steps"], recovery["keep_layers"]) == ("distill", 12, 1)
    assert recovery["loss"][-1]["held_out"] < recovery["loss"][0]["held_out"]
    for size in (folder, folder / "sizes" / "240"):
        assert json.loads((size / "config.json").read_text())["num_hidden_layers"] == 1
        assert (size / "vocabulary.jsonl").is_file()
    assert "It has 1 of the base's layers" in (folder / "README.md").read_text()


@pytest.mark.slow
def test_a_recovery_takes_no_longer_than_the_service_gives(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    short = settings.model_copy(update={"max_recovery_minutes": 0.02})
    job = run(short, db, blobs, vocab_size=0.5, recovery={"max_steps": 100_000})
    assert job.status == Status.SUCCEEDED, job.error
    recovery = report_of(unpack(job, blobs, tmp_path))["recovery"]
    assert recovery["stopped_by"] == "max_minutes"
    assert recovery["seconds"] < 10


@pytest.mark.parametrize(
    ("recovery", "code"),
    [
        ({"objective": "mlm"}, "recovery_unsupported"),
        ({"keep_layers": 3}, "keep_layers_above_base"),
        ({"max_minutes": 1e-9}, "recovery_too_short"),
    ],
)
def test_what_cannot_be_done_fails_the_job(
    settings: Settings, db: Database, blobs: Blobs, recovery: dict[str, Any], code: str
) -> None:
    job = run(settings, db, blobs, vocab_size=0.5, recovery=recovery)
    assert job.error
    assert (job.status, job.error["type"], job.error["code"]) == (Status.FAILED, "user", code)


def test_a_worker_that_lost_its_lease_overwrites_no_state(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    corpus = store_corpus(db, blobs, texts(10))
    job = submit(db, corpus.id, "acme/tiny-bert", training())
    contexts = []
    for _ in range(2):
        claim = transitions.claim(db, job.id, "tester", timedelta(seconds=0))
        assert claim
        contexts.append(load_context(claim, settings, db, blobs, shares))
        assert transitions.expire(db, job.id)
    first, second = contexts
    claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
    assert claim
    second = load_context(claim, settings, db, blobs, shares)
    (second.workspace.begin("recover") / "state.pt").write_bytes(b"new")
    second.keep_partial("recover")
    (first.workspace.begin("recover") / "state.pt").write_bytes(b"old")
    with pytest.raises(LeaseLostError):
        first.keep_partial("recover")
    kept = partial(db, job.id)
    assert kept
    folder = second.workspace.resume("recover", kept)
    assert (folder / "state.pt").read_bytes() == b"new"


@pytest.mark.slow
def test_a_job_can_be_recovered_by_several_processes(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    several = settings.model_copy(update={"device": "cpu", "recovery_processes": 2})
    wanted: dict[str, Any] = {"recovery": {"max_steps": 20}, "evaluation": {"latency": False}}
    job = run(several, db, blobs, vocab_size=[0.5, 0.4], **wanted)
    assert job.status == Status.SUCCEEDED, job.error
    report = report_of(unpack(job, blobs, tmp_path))
    assert (report["recovery"]["processes"], report["recovery"]["steps"]) == (2, 20)
    assert len(list(losses(db, job.id))) == 20
