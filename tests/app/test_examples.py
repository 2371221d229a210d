"""The examples of the OpenAPI document are what the service takes and gives."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.main import create_app
from app.settings import Settings
from tests.support.serving import Service
from tests.support.task_uploads import PARTS, upload

DOCUMENT: dict[str, Any] = create_app(Settings(auth="off")).openapi()
SUBMISSIONS = DOCUMENT["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]


def examples(schema: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place with examples in the document: where, its schema, an example."""
    if isinstance(schema, dict):
        if isinstance(schema.get("examples"), list):
            yield from ((path, schema, example) for example in schema["examples"])
        for name, part in schema.items():
            yield from examples(part, f"{path}/{name}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from examples(part, f"{path}/{number}")


FOUND = list(examples(DOCUMENT))


def test_there_are_examples() -> None:
    places = {path for path, _, _ in FOUND}
    for name in (
        "BaseModelView",
        "CorpusView",
        "JobView/properties/recipe",
        "Problem/properties/code",
    ):
        assert f"/components/schemas/{name}" in places


@pytest.mark.parametrize(("path", "schema", "example"), FOUND, ids=[path for path, _, _ in FOUND])
def test_an_example_is_valid(path: str, schema: dict[str, Any], example: Any) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    errors = [error.message for error in Draft202012Validator(whole).iter_errors(example)]
    assert errors == [], path


@pytest.mark.parametrize("name", SUBMISSIONS["application/json"]["examples"])
def test_an_example_of_a_submission_is_accepted(service: Service, name: str) -> None:
    body = copy.deepcopy(SUBMISSIONS["application/json"]["examples"][name]["value"])
    task = body["recipe"].get("evaluation", {}).get("task", {})
    for part in PARTS[task["type"]] if task else ():
        task[part] = upload(service, [{"row": part}])
    answer = service.http.post("/v1/jobs", json={**body, "corpus_id": service.corpus()})
    assert answer.status_code == 202, answer.text


def test_the_examples_of_the_form_are_accepted_together(service: Service) -> None:
    fields = SUBMISSIONS["multipart/form-data"]["schema"]["properties"]
    form = {name: field["examples"][0] for name, field in fields.items() if "examples" in field}
    assert {"base_model", "recipe", "metadata"} <= set(form)
    files = {"corpus": ("corpus.txt", b"one document\nanother\n")}
    answer = service.http.post("/v1/jobs", data=form, files=files)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("model", "path"),
    [("CorpusView", "/v1/corpora"), ("JobView", "/v1/jobs"), ("BaseModelView", "/v1/base-models")],
)
def test_what_the_service_gives_is_as_described(service: Service, model: str, path: str) -> None:
    service.submit()
    rows = service.http.get(path).json()["data"]
    whole = {"$ref": f"#/components/schemas/{model}", "components": DOCUMENT["components"]}
    assert rows
    for row in rows:
        Draft202012Validator(whole).validate(row)
