"""A database that is locked, frozen or gone: bounded waits, 503, and nothing half-written."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs import transitions
from app.jobs.models import Job
from tests.support.outages import own_postgres, write_lock
from tests.support.serving import MODEL, Service, serving

WAIT = 1.0
SLACK = 3.0
"""How much longer an answer may take on a busy machine; without bounds it took 30 s, or for ever.
"""
FROZEN_SECONDS = 20
CALLS = 60
"""More than there are threads."""


@dataclass(frozen=True)
class Answer:
    status: int
    seconds: float
    code: str | None
    retry_after: str | None


def call(service: Service, method: str, path: str, **sent: Any) -> Answer:
    # Reading certificates, which no call here needs, takes a client longer than the call.
    with httpx.Client(timeout=60, verify=False, trust_env=False) as client:
        begun = time.monotonic()
        answer = client.request(method, f"{service.http.base_url}{path}", **sent)
    is_problem = answer.headers["content-type"] == "application/problem+json"
    code = answer.json()["code"] if is_problem else None
    seconds = time.monotonic() - begun
    return Answer(answer.status_code, seconds, code, answer.headers.get("retry-after"))


def at_once(calls: int, make: Callable[[int], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(make, range(calls)))


def check_unavailable(answers: list[Answer], *, within: float) -> None:
    assert {(answer.status, answer.code) for answer in answers} == {(503, "database_unavailable")}
    assert all(answer.retry_after for answer in answers)
    assert max(answer.seconds for answer in answers) < within


@pytest.fixture
def sqlite(tmp_path: Path, valkey: str) -> Iterator[Service]:
    with serving(tmp_path, valkey, database_seconds=WAIT) as running:
        yield running


@pytest.mark.slow
def test_while_another_process_holds_sqlite_reads_go_on(sqlite: Service) -> None:
    corpus_id, job_id = sqlite.corpus(), sqlite.submit()["id"]
    body = {"base_model": MODEL, "corpus_id": corpus_id}
    corpora = set(sqlite.blobs.keys("corpora"))
    with ThreadPoolExecutor(CALLS) as pool:
        with write_lock(sqlite.db):
            writes = [
                *(pool.submit(call, sqlite, "POST", "/v1/jobs", json=body) for _ in range(30)),
                *(
                    pool.submit(call, sqlite, "POST", "/v1/corpora", content=b"a text\n")
                    for _ in range(15)
                ),
                *(
                    pool.submit(call, sqlite, "POST", f"/v1/jobs/{job_id}/cancel")
                    for _ in range(15)
                ),
            ]
            for path in ("/healthz", f"/v1/jobs/{job_id}", "/v1/corpora"):
                answer = call(sqlite, "GET", path)
                assert (answer.status, answer.seconds < SLACK) == (200, True), (path, answer)
            answers = [write.result() for write in writes]
        check_unavailable(answers, within=2 * WAIT + SLACK)
    assert set(sqlite.blobs.keys("corpora")) == corpora
    assert call(sqlite, "POST", "/v1/jobs", json=body).status == 202


def test_a_short_lock_is_waited_for(sqlite: Service) -> None:
    body = {"base_model": MODEL, "corpus_id": sqlite.corpus()}
    with ThreadPoolExecutor(1) as pool:
        with write_lock(sqlite.db):
            submitted = pool.submit(call, sqlite, "POST", "/v1/jobs", json=body)
            time.sleep(WAIT / 2)
        assert submitted.result().status == 202


def frozen_calls(service: Service, number: int) -> Answer:
    body = {"base_model": MODEL, "corpus_id": "corpus_" + "0" * 26}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/jobs", {}),
        ("GET", "/v1/corpora", {}),
        ("POST", "/v1/jobs", {"json": body}),
        ("POST", "/v1/corpora", {"content": b"a text\n"}),
        ("POST", f"/v1/jobs/job_{'0' * 26}/cancel", {}),
    ]
    method, path, sent = calls[number % len(calls)]
    return call(service, method, path, **sent)


@pytest.mark.slow
def test_a_frozen_postgresql_holds_no_call(tmp_path: Path, valkey: str) -> None:
    with (
        own_postgres() as server,
        serving(tmp_path, valkey, database_url=server.url, database_seconds=WAIT) as service,
    ):
        job_id = service.submit()["id"]
        accepted = [job_id, *(service.submit()["id"] for _ in range(5))]
        before = set(service.blobs.keys("corpora"))
        with server.frozen():
            end = time.monotonic() + FROZEN_SECONDS
            answers = at_once(CALLS, lambda number: frozen_calls(service, number))
            check_unavailable(answers, within=2 * (WAIT + 1) + SLACK)
            # What is known now is not found out again by each call.
            while time.monotonic() < end:
                later = at_once(20, lambda number: frozen_calls(service, number))
                check_unavailable(later, within=2 * (WAIT + 1) + SLACK)
            assert call(service, "GET", "/healthz").status == 200
        wait_for(lambda: call(service, "GET", f"/v1/jobs/{job_id}").status == 200)
        assert set(service.blobs.keys("corpora")) == before
        for accepted_id in accepted:
            assert service.http.get(f"/v1/jobs/{accepted_id}").json()["status"] == "queued"
        assert service.submit()["status"] == "queued"


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_row_that_is_locked_is_not_waited_for(tmp_path: Path, valkey: str) -> None:
    with (
        own_postgres() as server,
        serving(tmp_path, valkey, database_url=server.url, database_seconds=WAIT) as service,
    ):
        job_id = service.submit()["id"]
        with service.db.write() as session:
            transitions.request_cancel(session, session.get_one(Job, job_id))
            answer = call(service, "POST", f"/v1/jobs/{job_id}/cancel")
            check_unavailable([answer], within=WAIT + SLACK)
            assert call(service, "GET", f"/v1/jobs/{job_id}").status == 200


def test_metrics_are_served_without_the_database(sqlite: Service) -> None:
    for file in sqlite.settings.data_dir.glob("fvt.db*"):
        file.unlink()
        file.mkdir()
    answer = sqlite.http.get("/metrics")
    assert answer.status_code == 200
    assert "fvt_http_requests_total" in answer.text
