"""Corpora of general text and of queries in a recipe: checked at submission, kept while read."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.contract.recipe import Recipe
from tests.app.jobs.test_validation_task import NOBODYS, refused
from tests.support.serving import MODEL, Service
from tests.support.task_uploads import upload

FIELDS = pytest.mark.parametrize("field", ["general_corpus_id", "queries_corpus_id"])


@FIELDS
def test_it_is_taken_and_kept_until_the_job_is_over(service: Service, field: str) -> None:
    general = service.corpus(b"text of no domain\n")
    job = service.submit(recipe={"recovery": {field: general}})
    assert job["recipe"]["recovery"][field] == general
    answer = service.http.delete(f"/v1/corpora/{general}")
    assert (answer.status_code, answer.json()["code"]) == (409, "corpus_in_use")
    assert job["id"] in answer.json()["detail"]
    service.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert service.http.delete(f"/v1/corpora/{general}").status_code == 204


@FIELDS
@pytest.mark.parametrize("known", [NOBODYS, "corpus_none", "../../etc/passwd"])
def test_one_that_is_not_there_is_named(service: Service, known: str, field: str) -> None:
    recipe = {"recovery": {field: known}}
    code, pointer, detail = refused(service, 404, recipe=recipe)
    assert (code, pointer) == ("corpus_not_found", f"/recipe/recovery/{field}")
    assert known in detail


@FIELDS
def test_records_are_no_text_to_train_on(service: Service, field: str) -> None:
    recipe = {"recovery": {field: upload(service, [{"text": "a"}])}}
    code, pointer, detail = refused(service, 422, recipe=recipe)
    assert (code, pointer) == ("corpus_without_text", f"/recipe/recovery/{field}")
    assert "to train on" in detail


@FIELDS
def test_an_estimate_says_as_much(service: Service, field: str) -> None:
    recipe = {"recovery": {field: NOBODYS}}
    body = {"base_model": MODEL, "corpus_id": service.corpus(), "recipe": recipe}
    answer = service.http.post("/v1/estimate", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (404, "corpus_not_found")
    assert problem["errors"][0]["pointer"] == f"/recipe/recovery/{field}"


def test_the_corpus_itself_is_no_general_text(service: Service) -> None:
    corpus, again = service.corpus(), service.corpus()
    for general in (corpus, again):
        recovery = {"general_corpus_id": general}
        body = {"base_model": MODEL, "corpus_id": corpus, "recipe": {"recovery": recovery}}
        for path in ("/v1/jobs", "/v1/estimate"):
            answer = service.http.post(path, json=body)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "invalid_recipe")
            assert problem["errors"][0]["pointer"] == "/recipe/recovery/general_corpus_id"
            assert "not general" in problem["detail"]
    # A corpus of queries has no others.
    service.submit(recipe={"recovery": {"queries_corpus_id": corpus}}, corpus_id=corpus)


@pytest.mark.parametrize("share", [-0.1, 0.91, 1, float("nan"), "much"])
def test_a_share_that_leaves_no_domain_is_refused(share: Any) -> None:
    with pytest.raises(ValidationError, match="general_share"):
        Recipe.model_validate({"recovery": {"general_share": share}})


def test_a_corpus_that_would_not_be_read_is_refused() -> None:
    asked = {"general_corpus_id": NOBODYS, "general_share": 0}
    with pytest.raises(ValidationError, match="is not read: leave one of them out"):
        Recipe.model_validate({"recovery": asked})


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"queries_corpus_id": NOBODYS, "pseudo_queries": True}, "no queries are made"),
        ({"queries_corpus_id": NOBODYS, "objective": "none"}, "nothing is trained"),
        ({"general_corpus_id": NOBODYS, "objective": "none"}, "nothing is trained"),
        ({"pseudo_queries": True, "objective": "none"}, "nothing is trained"),
    ],
)
def test_text_that_would_not_be_trained_on_is_refused(asked: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Recipe.model_validate({"recovery": asked})


def test_a_recipe_names_all_its_corpora() -> None:
    task = {"type": "sentence_pairs", "pairs": "corpus_b"}
    recovery = {"general_corpus_id": "corpus_a", "queries_corpus_id": "corpus_c"}
    asked = {"recovery": recovery, "evaluation": {"task": task}}
    assert Recipe.model_validate(asked).corpora == ["corpus_a", "corpus_c", "corpus_b"]
    assert Recipe().corpora == []
