"""Events over HTTP: pages, and streams that live as long as the job."""

import threading
import time
from typing import Any

import orjson
import pytest

from app.db import Database
from app.jobs import events, transitions
from tests.support.serving import Service

STREAM = {"accept": "text/event-stream"}


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
    monkeypatch.setattr(events, "KEEPALIVE_SECONDS", 0.1)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.05)
    path = f"/v1/jobs/{service.submit()['id']}/events"
    with service.http.stream("GET", path, headers=STREAM) as stream:
        chunks = stream.iter_text()
        assert any(chunk.startswith(": ping") for chunk, _ in zip(chunks, range(5), strict=False))


def test_a_client_that_goes_away_stops_the_reading(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)
    reads: list[int] = []
    read = events.read_news

    def counting(db: Database, job_id: str, after: int) -> Any:
        reads.append(after)
        return read(db, job_id, after)

    monkeypatch.setattr(events, "read_news", counting)
    path = f"/v1/jobs/{service.submit()['id']}/events"
    with service.http.stream("GET", path, headers=STREAM) as stream:
        next(stream.iter_text())
    time.sleep(0.3)
    seen = len(reads)
    assert seen
    time.sleep(0.3)
    assert len(reads) == seen


def test_a_stream_of_a_deleted_job_ends(service: Service) -> None:
    job_id = service.submit()["id"]
    service.http.post(f"/v1/jobs/{job_id}/cancel")
    service.http.delete(f"/v1/jobs/{job_id}")
    assert events.read_news(service.db, job_id, 0) == ([], True)
    answer = service.http.get(f"/v1/jobs/{job_id}/events", headers=STREAM)
    assert answer.json()["code"] == "job_not_found"
