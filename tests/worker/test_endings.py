"""How jobs end that cannot succeed."""

from datetime import timedelta

import pytest

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.settings import Settings
from tests.support.job_store import read
from tests.support.tiny_models import texts
from tests.support.workers import events, store_corpus, submit
from worker.runner import run_to_an_end


@pytest.mark.parametrize(
    ("base_model", "recipe", "code", "says"),
    [
        ("acme/none", {}, "base_model_not_found", "acme/none"),
        ("acme/tiny-bert", {"vocab_size": 601}, "vocab_size_above_base", "600"),
        ("acme/tiny-bert", {"vocab_size": 20}, "vocab_size_below_floor", "at least"),
        ("acme/tiny-bert", {"vocab_size": 1.0}, "corpus_too_small", "at most"),
    ],
)
def test_what_cannot_work_fails_with_what_to_do(
    settings: Settings,
    db: Database,
    blobs: Blobs,
    base_model: str,
    recipe: dict[str, float],
    code: str,
    says: str,
) -> None:
    corpus = store_corpus(db, blobs, texts(100, words=20))
    job = submit(db, corpus.id, base_model, Recipe.model_validate(recipe))
    claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
    assert claim
    run_to_an_end(claim, settings, db, blobs)
    done = read(db, job.id)
    assert done.status == Status.FAILED
    assert done.error
    assert (done.error["type"], done.error["code"]) == ("user", code)
    assert says in done.error["message"]
    assert blobs.size(corpus.blob_key) == corpus.bytes
    assert blobs.keys(job.blob_prefix) == []


def test_a_fault_of_ours_is_tried_again_and_then_told(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    corpus = store_corpus(db, blobs, texts(100))
    job = submit(db, corpus.id, "acme/tiny-bert")
    blobs.delete_all(corpus.blob_prefix)
    statuses = []
    while claim := transitions.claim(db, job.id, "tester", timedelta(seconds=60)):
        run_to_an_end(claim, settings, db, blobs)
        statuses.append(read(db, job.id).status)
    assert statuses == [Status.QUEUED, Status.QUEUED, Status.FAILED]
    done = read(db, job.id)
    assert done.error
    assert (done.error["type"], done.error["retryable"]) == ("system", True)
    assert [type_ for type_, _ in events(db, job.id)].count("job.retrying") == 2
    assert list(settings.workspaces.glob("*")) == []
