"""Ids that no database takes, such as one with a NUL, are not found; on both databases."""

from collections.abc import Iterator

import pytest

from tests.support.postgres import postgres
from tests.support.serving import Service, serving_on

__all__ = ["postgres"]

IDS = ("%00", "corpus_%00", "job_" + "0" * 25 + "%00", "%ED%A0%80", "%F0%9F", "a" * 5000, "%0A")
PATHS = (
    ("GET", "/v1/corpora/{}"),
    ("DELETE", "/v1/corpora/{}"),
    ("GET", "/v1/jobs/{}"),
    ("DELETE", "/v1/jobs/{}"),
    ("POST", "/v1/jobs/{}/cancel"),
    ("GET", "/v1/jobs/{}/events"),
    ("GET", "/v1/jobs/{}/artifacts"),
    ("GET", "/v1/jobs/{}/artifacts/{}"),
    ("GET", "/v1/jobs/{}/download"),
    ("GET", "/v1/jobs/{}/report"),
    ("GET", "/v1/corpora?after={}"),
    ("GET", "/v1/jobs?after={}"),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, valkey: str
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serving_on(request, folder, valkey) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_an_id_that_is_none(either: Service, method: str, path: str) -> None:
    for id_ in IDS:
        answer = either.http.request(method, path.replace("{}", id_))
        assert answer.status_code in {400, 404, 422}, (id_, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_corpus_id_in_a_submission(either: Service) -> None:
    for id_ in ("\0", "corpus_" + "0" * 25 + "\0", "\ud800".encode("utf-8", "replace").decode()):
        body = {"base_model": "sentence-transformers/all-MiniLM-L6-v2", "corpus_id": id_}
        answer = either.http.post("/v1/jobs", json=body)
        assert answer.status_code in {404, 422}, answer.text
