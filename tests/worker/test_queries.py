"""Queries of a job: refused where its task measures on them, else trained on and told of."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.blobs import Blobs
from app.contract.errors import UserFault
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.settings import Settings
from tests.support.finished_jobs import stages_started
from tests.support.in_process import report_of, run, unpack
from tests.support.labelled_tasks import DATA, store_task
from tests.support.st_folders import sentence_encoder
from tests.support.tiny_models import texts
from tests.support.workers import store_corpus, submit
from worker import stages
from worker.compression.progress import silent
from worker.context import JobContext, load_context
from worker.labelled.leakage import check_queries

OTHERS = [f"a query that nobody measures on, number {n}" for n in range(5)]


@pytest.fixture
def make_context(settings: Settings, db: Database, blobs: Blobs) -> Any:
    def make(queries: list[str] | None, task: dict[str, Any] | None) -> JobContext:
        recovery = {"queries_corpus_id": store_corpus(db, blobs, queries).id} if queries else {}
        recipe = Recipe.model_validate({"recovery": recovery, "evaluation": {"task": task}})
        job = submit(db, store_corpus(db, blobs, texts(40)).id, "acme/tiny-bert", recipe)
        claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
        assert claim
        return load_context(claim, settings, db, blobs, stages.shares)

    return make


def measured(type_: str) -> list[str]:
    """Return texts of a task that no training may have seen, as a user might write them again."""
    rows = DATA[type_]()
    if type_ == "sentence_pairs":
        return [rows["pairs"][0]["sentence1"], rows["pairs"][1]["sentence2"]]
    if type_ == "token_classification":
        return [" ".join(row["tokens"]) for row in rows["test"][:2]]
    part = "queries" if type_ == "retrieval" else "test"
    return [row["text"] for row in rows[part][:2]]


@pytest.mark.parametrize("type_", sorted(DATA))
def test_queries_that_a_task_measures_on_are_counted_and_the_first_is_named(
    make_context: Any, db: Database, blobs: Blobs, type_: str
) -> None:
    first, second = measured(type_)
    assert first != second
    changed = "  " + first.upper().replace(" ", "  ") + " "
    queries = [*OTHERS[:2], changed, second, first, *OTHERS[2:]]
    context = make_context(queries, store_task(db, blobs, type_))
    with pytest.raises(UserFault) as refused:
        check_queries(context, silent)
    assert refused.value.code == "queries_in_task"
    assert ", 2 are among the texts" in str(refused.value)
    assert context.recipe.recovery.queries_corpus_id in str(refused.value)
    assert "the first is " in str(refused.value)


@pytest.mark.parametrize("type_", sorted(DATA))
def test_other_queries_are_taken(make_context: Any, db: Database, blobs: Blobs, type_: str) -> None:
    check_queries(make_context(OTHERS, store_task(db, blobs, type_)), silent)


def test_without_a_task_or_queries_there_is_nothing_to_compare(
    make_context: Any, db: Database, blobs: Blobs
) -> None:
    check_queries(make_context(measured("retrieval"), None), silent)
    check_queries(make_context(None, store_task(db, blobs, "retrieval")), silent)


def test_documents_of_the_task_are_no_queries_of_it(
    make_context: Any, db: Database, blobs: Blobs
) -> None:
    asked = {row["text"] for row in DATA["retrieval"]()["queries"]}
    documents = [row["text"] for row in DATA["retrieval"]()["documents"]]
    queries = [text for text in documents if text not in asked]
    check_queries(make_context(queries, store_task(db, blobs, "retrieval")), silent)


def test_a_job_fails_with_them_before_anything_is_trained(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    queries = store_corpus(db, blobs, [*OTHERS, measured("retrieval")[0]]).id
    job = run(
        settings,
        db,
        blobs,
        vocab_size=300,
        evaluation={"latency": False, "task": store_task(db, blobs, "retrieval")},
        recovery={"objective": "distill", "queries_corpus_id": queries},
    )
    assert job.status == Status.FAILED
    assert job.error
    assert (job.error["type"], job.error["code"]) == ("user", "queries_in_task")
    assert stages_started(db, job.id) == ["resolve", "corpus"]


@pytest.mark.slow
def test_the_report_and_the_card_tell_of_the_queries(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    sentence_encoder(models / "acme" / "tiny-bert")
    changed = settings.model_copy(update={"models_dir": models})
    queries = [f"xylophone {n} quartz jigsaw vortex" for n in range(40)]
    corpus_id = store_corpus(db, blobs, queries).id
    recovery = {"max_steps": 20, "batch_size": 8, "queries_corpus_id": corpus_id}
    job = run(changed, db, blobs, vocab_size=0.5, recovery=recovery)
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    told = report_of(folder)["recovery"]
    assert (told["query_steps"], told["planned_query_steps"]) == (4, 4)
    assert told["query_source"] == f"the corpus {corpus_id}"
    assert 0 < told["queries"] <= len(queries)
    said = "The last 4 steps were on queries"
    assert said in (folder / "README.md").read_text("utf-8")
    assert said in (folder / "report.html").read_text("utf-8")
    # Never shown to the tokenizer.
    assert "xylophone" not in (folder / "tokenizer.json").read_text("utf-8")
