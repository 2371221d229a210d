"""The corpus of general text that a recipe names: checked at submission, kept while it is read."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.contract.recipe import Recipe
from tests.app.jobs.test_validation_task import NOBODYS, refused
from tests.support.serving import MODEL, Service
from tests.support.task_uploads import upload


def test_it_is_taken_and_kept_until_the_job_is_over(service: Service) -> None:
    general = service.corpus()
    job = service.submit(recipe={"recovery": {"general_corpus_id": general}})
    assert job["recipe"]["recovery"]["general_corpus_id"] == general
    answer = service.http.delete(f"/v1/corpora/{general}")
    assert (answer.status_code, answer.json()["code"]) == (409, "corpus_in_use")
    assert job["id"] in answer.json()["detail"]
    service.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert service.http.delete(f"/v1/corpora/{general}").status_code == 204


@pytest.mark.parametrize("known", [NOBODYS, "corpus_none", "../../etc/passwd"])
def test_one_that_is_not_there_is_named(service: Service, known: str) -> None:
    recipe = {"recovery": {"general_corpus_id": known}}
    code, pointer, detail = refused(service, 404, recipe=recipe)
    assert (code, pointer) == ("corpus_not_found", "/recipe/recovery/general_corpus_id")
    assert known in detail


def test_records_are_no_text_to_train_on(service: Service) -> None:
    recipe = {"recovery": {"general_corpus_id": upload(service, [{"text": "a"}])}}
    code, pointer, detail = refused(service, 422, recipe=recipe)
    assert (code, pointer) == ("corpus_without_text", "/recipe/recovery/general_corpus_id")
    assert "to train on" in detail


def test_an_estimate_says_as_much(service: Service) -> None:
    recipe = {"recovery": {"general_corpus_id": NOBODYS}}
    body = {"base_model": MODEL, "corpus_id": service.corpus(), "recipe": recipe}
    answer = service.http.post("/v1/estimate", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (404, "corpus_not_found")
    assert problem["errors"][0]["pointer"] == "/recipe/recovery/general_corpus_id"


@pytest.mark.parametrize("share", [-0.1, 0.91, 1, float("nan"), "much"])
def test_a_share_that_leaves_no_domain_is_refused(share: Any) -> None:
    with pytest.raises(ValidationError, match="general_share"):
        Recipe.model_validate({"recovery": {"general_share": share}})


def test_a_corpus_that_would_not_be_read_is_refused() -> None:
    asked = {"general_corpus_id": NOBODYS, "general_share": 0}
    with pytest.raises(ValidationError, match="is not read: leave one of them out"):
        Recipe.model_validate({"recovery": asked})


def test_a_recipe_names_all_its_corpora() -> None:
    task = {"type": "sentence_pairs", "pairs": "corpus_b"}
    asked = {"recovery": {"general_corpus_id": "corpus_a"}, "evaluation": {"task": task}}
    assert Recipe.model_validate(asked).corpora == ["corpus_a", "corpus_b"]
    assert Recipe().corpora == []
