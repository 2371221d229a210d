"""A job whose worker is killed: another one goes on where it was."""

import pytest

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.states import Status
from app.db import Database
from app.settings import Settings
from tests.support.finished_jobs import SMALL, STAGES, check_artifact, stages_started
from tests.support.job_store import read
from tests.support.tiny_models import texts
from tests.support.workers import (
    events,
    kill,
    store_corpus,
    submit,
    wait_for_end,
    wait_until,
    worker_process,
)


@pytest.mark.slow
def test_a_killed_workers_job_goes_on_where_it_was(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    corpus = store_corpus(db, blobs, texts(20_000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    Dispatcher(settings).send(job.id)
    with worker_process(settings) as process:
        wait_until(lambda: "tokenizer" in stages_started(db, job.id))
        kill(process)
    assert read(db, job.id).status == Status.RUNNING
    with worker_process(settings):
        done = wait_for_end(settings, db, job.id)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2)
    assert ("job.retrying", None) in events(db, job.id)
    started = stages_started(db, job.id)
    assert started == [*STAGES[:3], *STAGES[2:]]
    check_artifact(done, blobs)
