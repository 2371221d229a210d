"""Whole jobs in a real worker process, over a real broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from app.settings import Settings
from tests.support.finished_jobs import SMALL, STAGES, check_artifact, stages_started
from tests.support.job_store import open_store
from tests.support.servers import local_settings
from tests.support.tiny_models import texts
from tests.support.workers import (
    store_corpus,
    submit,
    wait_for_end,
    wait_until,
    worker_process,
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, valkey: str, models: Path) -> Settings:
    folder = tmp_path_factory.mktemp("service")
    return local_settings(folder, valkey).model_copy(update={"models_dir": models})


@pytest.fixture(scope="module")
def db(settings: Settings) -> Iterator[Database]:
    yield from open_store(settings.database_url)


@pytest.fixture(scope="module")
def blobs(settings: Settings) -> Blobs:
    return Blobs(settings.blobs_url)


@pytest.fixture(scope="module")
def worker(settings: Settings, db: Database) -> Iterator[None]:
    assert db  # migrated before the worker looks
    with worker_process(settings):
        yield


@pytest.mark.usefixtures("worker")
def test_a_job_leaves_what_it_says(settings: Settings, db: Database, blobs: Blobs) -> None:
    corpus = store_corpus(db, blobs, texts(3000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    Dispatcher(settings).send(job.id)
    Dispatcher(settings).send(job.id)  # a message that comes twice
    done = wait_for_end(settings, db, job.id)
    assert (done.status, done.error, done.attempt) == (Status.SUCCEEDED, None, 1)
    assert stages_started(db, job.id) == STAGES
    assert done.result
    assert done.result["vocab_size_after"] == round(done.result["vocab_size_before"] / 2)
    check_artifact(done, blobs)
    # The worker tidies up after it has said that the job is over.
    wait_until(lambda: blobs.keys(f"{done.blob_prefix}/stages") == [], 30)
    wait_until(lambda: not list(settings.workspaces.glob("*")), 30)


@pytest.mark.usefixtures("worker")
def test_a_running_job_can_be_cancelled(settings: Settings, db: Database, blobs: Blobs) -> None:
    corpus = store_corpus(db, blobs, texts(20_000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    Dispatcher(settings).send(job.id)
    wait_until(lambda: "tokenizer" in stages_started(db, job.id))
    with db.write() as session:
        transitions.request_cancel(session, session.get_one(Job, job.id))
    done = wait_for_end(settings, db, job.id, seconds=10)
    assert (done.status, done.artifact) == (Status.CANCELLED, None)
    assert blobs.size(corpus.blob_key) == corpus.bytes
    wait_until(lambda: not list(settings.workspaces.glob("*")), 5)
