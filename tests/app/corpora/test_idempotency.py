"""Uploads that come twice with one key, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.postgres import postgres
from tests.support.serving import Service, serving_on

__all__ = ["postgres"]

TEXT = b"one document\nanother document\n"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, valkey: str
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serving_on(request, folder, valkey) as running:
        yield running


def send(service: Service, key: str | None, text: bytes = TEXT, **fields: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    files = {"file": ("corpus.txt", text)}
    return service.http.post("/v1/corpora", files=files, data=fields, headers=headers)


def stored(service: Service) -> tuple[int, int]:
    rows = service.http.get("/v1/corpora", params={"limit": 100}).json()["data"]
    return len(rows), len(service.blobs.keys("corpora"))


def test_the_same_upload_makes_one_corpus(service: Service) -> None:
    first = send(service, "again", name="mine")
    before = stored(service)
    again = send(service, "again", name="mine")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert stored(service) == before
    assert send(service, None, name="mine").json()["id"] != first.json()["id"]


def test_the_raw_body_and_the_form_are_the_same_upload(service: Service) -> None:
    first = send(service, "raw")
    headers = {"Idempotency-Key": "raw", "Content-Type": "text/plain"}
    again = service.http.post("/v1/corpora", content=TEXT, headers=headers)
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("changed", [{"text": b"other\n"}, {"name": "x"}, {"format": "jsonl"}])
def test_a_key_is_for_one_upload(service: Service, changed: dict[str, Any]) -> None:
    text = b'{"text": "a"}\n'
    key = f"changed {sorted(changed)}"
    first: dict[str, Any] = {"text": text, "format": "text"}
    assert send(service, key, **first).status_code == 201
    before = stored(service)
    answer = send(service, key, **{**first, **changed})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert stored(service) == before


def test_eight_at_once_make_one(service: Service) -> None:
    rows, files = stored(service)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(service, "race"), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert replayed.count(None) == 1
    assert stored(service) == (rows + 1, files + 1)


def test_what_was_refused_may_come_again_mended(service: Service) -> None:
    assert send(service, "mended", b"").status_code == 422
    assert send(service, "mended").status_code == 201


def test_a_key_goes_with_its_corpus(service: Service) -> None:
    first = send(service, "deleted")
    assert service.http.delete(first.headers["location"]).status_code == 204
    again = send(service, "deleted")
    assert again.json()["id"] != first.json()["id"]
    assert "idempotent-replayed" not in again.headers


@pytest.mark.parametrize("key", ["k" * 256, "", "é".encode()])
def test_a_key_that_is_none_is_refused(service: Service, key: Any) -> None:
    before = stored(service)
    headers = {"Idempotency-Key": key}
    answer = service.http.post("/v1/corpora", content=TEXT, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert stored(service) == before
