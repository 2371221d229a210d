"""The corpora of a task: checked at submission, and kept while a job reads them."""

from pathlib import Path
from typing import Any

import pytest

from app.contract.recipe import Recipe
from app.corpora import service as corpora
from app.corpora.models import Corpus
from app.db import Database
from app.errors import ConflictError, UnprocessableError
from app.ids import new_id
from app.jobs import transitions
from app.jobs.models import Job, find_corpus_reader
from app.jobs.schemas import JobFields
from app.jobs.validation import check_base_model
from app.settings import Settings
from tests.support.model_folders import make_model
from tests.support.serving import MODEL, Service
from tests.support.task_uploads import PARTS, upload, uploaded_task


def refused(service: Service, status: int, **fields: Any) -> tuple[str, str, str]:
    """The code of a refusal, its pointer and what it says."""
    body = {"base_model": MODEL, "corpus_id": service.corpus(), **fields}
    answer = service.http.post("/v1/jobs", json=body)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert len(problem["errors"]) == 1
    return problem["code"], problem["errors"][0]["pointer"], problem["detail"]


@pytest.mark.parametrize("type_", PARTS)
def test_a_task_is_taken_and_its_data_is_kept(service: Service, type_: str) -> None:
    task = uploaded_task(service, type_)
    job = service.submit(recipe={"evaluation": {"task": task}})
    assert job["recipe"]["evaluation"]["task"].items() >= task.items()
    for name in PARTS[type_]:
        answer = service.http.delete(f"/v1/corpora/{task[name]}")
        assert (answer.status_code, answer.json()["code"]) == (409, "corpus_in_use")
        assert job["id"] in answer.json()["detail"]
    service.http.post(f"/v1/jobs/{job['id']}/cancel")
    for name in PARTS[type_]:
        assert service.http.delete(f"/v1/corpora/{task[name]}").status_code == 204


def test_json_lines_serve_as_well(service: Service) -> None:
    task = uploaded_task(service, "retrieval")
    task["documents"] = upload(service, [{"id": 1, "text": "a rash"}], "jsonl")
    assert service.submit(recipe={"evaluation": {"task": task}})


NOBODYS = "corpus_" + "0" * 26


@pytest.mark.parametrize("known", [NOBODYS, "corpus_none", "../../etc/passwd"])
def test_a_corpus_that_is_not_there_is_named(service: Service, known: str) -> None:
    task = uploaded_task(service, "retrieval", queries=known)
    code, pointer, detail = refused(service, 404, recipe={"evaluation": {"task": task}})
    assert (code, pointer) == ("corpus_not_found", "/recipe/evaluation/task/queries")
    assert known in detail
    assert "multipart" not in detail


def test_a_corpus_of_text_has_no_rows(service: Service) -> None:
    task = uploaded_task(service, "sequence_classification", test=service.corpus())
    code, pointer, detail = refused(service, 422, recipe={"evaluation": {"task": task}})
    assert (code, pointer) == ("corpus_without_records", "/recipe/evaluation/task/test")
    assert "`format=records`" in detail


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("documents", 1_000_001, "1,000,001 rows"), ("characters", 1 << 30, "1,073,741,824 char")],
)
def test_more_than_a_worker_holds_is_refused(
    service: Service, column: str, value: int, said: str
) -> None:
    task = uploaded_task(service, "sentence_pairs")
    with service.db.write() as session:
        setattr(session.get_one(Corpus, task["pairs"]), column, value)
    code, pointer, detail = refused(service, 422, recipe={"evaluation": {"task": task}})
    assert (code, pointer) == ("too_many_records", "/recipe/evaluation/task/pairs")
    assert said in detail


def test_records_are_no_text_to_compress_for(service: Service) -> None:
    records = upload(service, [{"text": "a"}])
    code, pointer, detail = refused(service, 422, corpus_id=records)
    assert (code, pointer) == ("corpus_without_text", "/corpus_id")
    assert "`evaluation.task`" in detail


def test_records_sent_along_with_a_job_are_refused_and_not_kept(service: Service) -> None:
    before = service.blobs.keys("corpora")
    answer = service.http.post(
        "/v1/jobs",
        data={"base_model": MODEL, "format": "records"},
        files={"corpus": ("rows.jsonl", b'{"text": "a"}\n')},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "corpus_without_text")
    assert service.blobs.keys("corpora") == before


def test_a_metric_that_needs_another_task_is_refused(service: Service) -> None:
    task = uploaded_task(service, "sequence_classification")
    recipe = {
        "evaluation": {"task": task},
        "gate": {"min_quality": 0.9, "metric": "entity_f1"},
    }
    code, pointer, detail = refused(service, 422, recipe=recipe)
    assert (code, pointer) == ("gate_metric_not_measured", "/recipe/gate/metric")
    assert "`token_classification`" in detail


def test_the_store_finds_a_job_that_reads_a_corpus(db: Database) -> None:
    ids = {name: new_id("corpus") for name in ("train", "test")}
    task = {"type": "token_classification", **ids}
    recipe = Recipe.model_validate({"evaluation": {"task": task}})
    known = {"format": "records", "bytes": 1, "sha256": "", "documents": 1, "characters": 1}
    with db.write() as session:
        session.add_all(Corpus(id=corpus_id, **known) for corpus_id in ids.values())
        job = Job(
            base_model="org/model",
            corpus_id="corpus_1",
            recipe=recipe.model_dump(mode="json"),
            labels={},
            max_attempts=1,
        )
        transitions.submit(session, job)
    for corpus_id in ids.values():
        with db.write() as session, pytest.raises(ConflictError, match=job.id):
            corpora.delete(session, corpus_id, find_corpus_reader)


TAGGING = {"type": "token_classification", "train": "corpus_a", "test": "corpus_b"}


@pytest.mark.parametrize("model_type", ["bert", "bart"])
def test_a_model_without_a_head_for_tags_is_refused(tmp_path: Path, model_type: str) -> None:
    make_model(tmp_path / "org" / "model", model_type=model_type)
    recipe = Recipe.model_validate({"evaluation": {"task": TAGGING}})
    fields = JobFields(base_model="org/model", recipe=recipe)
    settings = Settings(models_dir=tmp_path, hub=False)
    if model_type == "bert":
        assert check_base_model(fields, settings)
        return
    with pytest.raises(UnprocessableError, match="token classification with a bart") as refusal:
        check_base_model(fields, settings)
    assert refusal.value.code == "task_unsupported"
