"""Text that some database does not take is refused at submission, whichever database there is."""

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from app.contract.text import storable
from app.errors import ProblemError
from app.jobs.submission import read_form, read_json
from tests.support.postgres import postgres
from tests.support.serving import Service, serving_on

BASE: dict[str, Any] = {"base_model": "org/model", "corpus_id": "corpus_1"}
TASK = {"type": "sequence_classification", "train": "corpus_1", "test": "corpus_2"}


__all__ = ["postgres"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, valkey: str
) -> Iterator[Service]:
    """The real application on each database; the hub is allowed and cannot be asked."""
    folder = tmp_path_factory.mktemp("service")
    with serving_on(request, folder, valkey, hub=True) as running:
        yield running


def recipe(**parts: Any) -> dict[str, Any]:
    return {"recipe": parts}


def holding(text: str) -> dict[str, dict[str, Any]]:
    """Submissions that hold a text, by the pointer to it."""
    return {
        "/recipe/tokenizer/keep_tokens/0": recipe(tokenizer={"keep_tokens": [text]}),
        "/recipe/tokenizer/keep_tokens/1": recipe(tokenizer={"keep_tokens": ["a", f"b{text}c"]}),
        "/base_model": {"base_model": text},
        "/revision": {"revision": text},
        "/name": {"name": f"letters {text}"},
        "/metadata/team": {"metadata": {"team": text}},
        "/corpus_id": {"corpus_id": text},
        "/recipe/evaluation/task/train": recipe(evaluation={"task": {**TASK, "train": text}}),
        "/recipe/evaluation/task/text_field": recipe(
            evaluation={"task": {**TASK, "text_field": text}}
        ),
        "/recipe/evaluation/task/label_field": recipe(
            evaluation={"task": {**TASK, "label_field": f"{text}x"}}
        ),
    }


@pytest.mark.parametrize("pointer", holding(""))
def test_a_nul_is_refused_where_it_is(pointer: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        read_json(orjson.dumps({**BASE, **holding("\0")[pointer]}))
    assert [error.pointer for error in refusal.value.members["errors"]] == [pointer]


def test_a_nul_in_a_name_of_metadata_is_refused() -> None:
    with pytest.raises(ProblemError):
        read_json(orjson.dumps({**BASE, "metadata": {"te\0am": "x"}}))


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "\\ud800x", "\\udc00\\ud800"])
@pytest.mark.parametrize("pointer", holding(""))
def test_half_a_surrogate_pair_is_refused(pointer: str, half: str) -> None:
    body = json.dumps({**BASE, **holding("HALF")[pointer]}).replace("HALF", half)
    with pytest.raises(ProblemError):
        read_json(body.encode())


@pytest.mark.parametrize("name", ["name", "revision", "base_model", "recipe", "metadata"])
@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_forms_too(name: str, text: str) -> None:
    held = {
        "recipe": f'{{"tokenizer": {{"keep_tokens": ["{text}"]}}}}',
        "metadata": f'{{"a": "{text}"}}',
    }
    with pytest.raises(ProblemError):
        read_form({"base_model": "org/model", name: held.get(name, text)})


def test_other_signs_of_control_are_tokens() -> None:
    taken = read_json(
        orjson.dumps({**BASE, **recipe(tokenizer={"keep_tokens": ["\n", "\t", "é"]})})
    )
    assert taken.recipe.tokenizer.keep_tokens == ["\n", "\t", "é"]


@pytest.mark.parametrize(
    ("text", "stored"), [("a\0b", "a\ufffdb"), ("\ud800", "?"), ("plain é 🙂", "plain é 🙂")]
)
def test_text_of_ours_is_made_storable(text: str, stored: str) -> None:
    assert storable(text) == stored


def test_the_service_answers_what_is_wrong(store: Service) -> None:
    body = {**BASE, **recipe(tokenizer={"keep_tokens": ["a\0"]})}
    answer = store.http.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_recipe")
    half = json.dumps({**BASE, "name": "\ud800"})
    headers = {"Content-Type": "application/json"}
    answer = store.http.post("/v1/jobs", content=half, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    for query in ("after=%00", "after=%ED%A0%80", "status=%00"):
        assert store.http.get(f"/v1/jobs?{query}").status_code in {400, 422}
    for path in ("/v1/jobs/job_%00", "/v1/corpora/corpus_%00", "/v1/jobs/job_%ED%A0%80"):
        assert store.http.get(path).status_code == 404
    answer = store.http.post("/v1/corpora?text_field=%00", files={"file": ("c.txt", b"a text")})
    assert answer.status_code == 422
    odd = {"file": ("c\0.jsonl", b'{"te\\u0000xt": "a"}\n{"te\\u0000xt": "b"}\n')}
    assert store.http.post("/v1/corpora", files=odd).status_code < 500
    lines = b'{"text": "a\\u0000b"}\n{"text": "c"}\n'
    kept = store.http.post("/v1/corpora", files={"file": ("c.jsonl", lines)})
    assert kept.status_code < 500


def test_a_hub_that_is_away_is_answered_at_submission(store: Service) -> None:
    body = {"base_model": "all-MiniLM-L6-v2", "corpus_id": store.corpus()}
    answer = store.http.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "hub_unreachable")
    assert answer.headers["Retry-After"] == "60"
    for said in ("FVT_HUB", "FVT_MODELS_DIR", "sentence-transformers/all-MiniLM-L6-v2?"):
        assert said in answer.json()["detail"]
    assert store.http.get("/v1/jobs").json()["data"] == []
