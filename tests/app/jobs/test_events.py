"""Events over HTTP: pages, and streams that live as long as the job."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from app.db import Database
from app.jobs import event_hub, events, transitions
from app.jobs.events import read_news
from tests.support.serving import Service, serving_on
from tests.support.workers import wait_until

STREAM = {"accept": "text/event-stream"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, valkey: str
) -> Iterator[Service]:
    """The application on each database, whose statements for all streams at once differ."""
    with serving_on(request, tmp_path_factory.mktemp("service"), valkey) as running:
        yield running


def parse(text: str) -> list[dict[str, Any]]:
    """The events of a stream, with their three fields."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    parsed = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    return [{**block, "data": orjson.loads(block["data"])} for block in parsed]


def test_events_come_oldest_first_and_in_pages(service: Service) -> None:
    job_id = service.submit()["id"]
    service.succeed(job_id, {}, b"archive")
    path = f"/v1/jobs/{job_id}/events"
    page = service.http.get(path, params={"limit": 2}).json()
    assert page["object"] == "list"
    assert page["has_more"] is True
    assert [event["type"] for event in page["data"]] == ["job.queued", "job.started"]
    assert page["data"][0]["object"] == "event"
    assert page["data"][1]["data"] == {"attempt": 1, "worker": "test:1"}
    rest = service.http.get(path, params={"after": page["data"][1]["id"]}).json()
    assert ([event["type"] for event in rest["data"]], rest["has_more"]) == (
        ["job.succeeded"],
        False,
    )


@pytest.mark.parametrize("after", ["event_", "7", "event_-1", "event_1 or 1", "event_" + "9" * 19])
def test_a_cursor_that_is_none(service: Service, after: str) -> None:
    job_id = service.submit()["id"]
    for headers in ({}, STREAM):
        answer = service.http.get(
            f"/v1/jobs/{job_id}/events", params={"after": after}, headers=headers
        )
        assert answer.json()["code"] == "unknown_cursor"


def test_another_form_is_refused(service: Service) -> None:
    path = f"/v1/jobs/{service.submit()['id']}/events"
    assert service.http.get(path, headers={"accept": "text/html"}).status_code == 406


def test_a_stream_tells_what_happens_and_ends_with_the_job(service: Service) -> None:
    job_id = service.submit()["id"]

    def work() -> None:
        claim = service.claim(job_id)
        transitions.start_stage(service.db, claim, "tokenizer", 0.1)
        transitions.report_progress(service.db, claim, 0.2, "two\nlines", 3.0)
        time.sleep(0.7)
        transitions.fail(service.db, claim, transitions.WORKER_LOST)

    worker = threading.Timer(0.2, work)
    worker.start()
    answer = service.http.get(f"/v1/jobs/{job_id}/events", headers=STREAM)
    worker.join()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    told = parse(answer.text)
    assert [event["event"] for event in told] == [
        "job.queued",
        "job.started",
        "stage.started",
        "job.progress",
        "job.failed",
    ]
    listed = service.http.get(f"/v1/jobs/{job_id}/events").json()["data"]
    assert [event["data"] for event in told] == listed
    assert [event["id"] for event in told] == [event["id"] for event in listed]


def test_a_stream_goes_on_where_it_broke_off(service: Service) -> None:
    job_id = service.submit()["id"]
    path = f"/v1/jobs/{job_id}/events"
    with service.http.stream("GET", path, headers=STREAM) as broken:
        first = parse(next(broken.iter_text()))[0]
    assert first["event"] == "job.queued"
    service.succeed(job_id, {}, b"archive")
    rest = service.http.get(path, headers={**STREAM, "last-event-id": first["id"]})
    told = parse(rest.text)
    assert [event["event"] for event in told] == ["job.started", "job.succeeded"]
    last = service.http.get(path, headers={**STREAM, "last-event-id": told[-1]["id"]})
    assert (last.status_code, last.content) == (204, b"")


def test_a_quiet_stream_is_kept_alive(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "KEEPALIVE_SECONDS", 0.1)
    path = f"/v1/jobs/{service.submit()['id']}/events"
    with service.http.stream("GET", path, headers=STREAM) as stream:
        chunks = stream.iter_text()
        assert any(chunk.startswith(": ping") for chunk, _ in zip(chunks, range(5), strict=False))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, int]]:
    """The rounds of the reader of all streams, with where each job's stand."""
    monkeypatch.setattr(event_hub, "POLL_SECONDS", 0.02)
    rounds: list[Mapping[str, int]] = []
    read = events.read_all_news

    def counting(db: Database, cursors: Mapping[str, int]) -> Any:
        rounds.append(cursors)
        return read(db, cursors)

    monkeypatch.setattr(event_hub, "read_all_news", counting)
    return rounds


def test_a_client_that_goes_away_stops_the_reading(
    service: Service, reads: list[Mapping[str, int]]
) -> None:
    path = f"/v1/jobs/{service.submit()['id']}/events"
    with service.http.stream("GET", path, headers=STREAM) as stream:
        chunks = stream.iter_text()
        next(chunks)
        wait_until(lambda: bool(reads), 20)
    time.sleep(0.3)
    seen = len(reads)
    time.sleep(0.3)
    assert len(reads) == seen


def test_one_query_a_round_serves_all_streams(
    service: Service, reads: list[Mapping[str, int]]
) -> None:
    jobs = [service.submit()["id"] for _ in range(8)]
    with ThreadPoolExecutor(24) as pool:
        streams = [
            pool.submit(service.http.get, f"/v1/jobs/{job_id}/events", headers=STREAM)
            for job_id in jobs * 3
        ]
        wait_until(lambda: any(len(cursors) == 8 for cursors in reads), 20)
        for job_id in jobs:
            service.succeed(job_id, {}, b"archive")
        told = [parse(stream.result().text) for stream in streams]
    for stream_told in told:
        assert [event["event"] for event in stream_told] == [
            "job.queued",
            "job.started",
            "job.succeeded",
        ]


def test_a_slow_client_misses_nothing(
    service: Service, reads: list[Mapping[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "MAX_WAITING", 2)
    job_id = service.submit()["id"]
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(service.http.get, f"/v1/jobs/{job_id}/events", headers=STREAM)
        wait_until(lambda: bool(reads), 20)
        claim = service.claim(job_id)
        for number in range(40):
            transitions.report_progress(service.db, claim, number / 40, "on", None)
        transitions.fail(service.db, claim, transitions.WORKER_LOST)
        told = parse(stream.result().text)
    listed = service.http.get(f"/v1/jobs/{job_id}/events", params={"limit": 100}).json()["data"]
    assert [event["data"] for event in told] == listed


def test_a_stream_of_a_deleted_job_ends(service: Service) -> None:
    job_id = service.submit()["id"]
    service.http.post(f"/v1/jobs/{job_id}/cancel")
    service.http.delete(f"/v1/jobs/{job_id}")
    assert read_news(service.db, job_id, 0) == ([], True)
    answer = service.http.get(f"/v1/jobs/{job_id}/events", headers=STREAM)
    assert answer.json()["code"] == "job_not_found"
