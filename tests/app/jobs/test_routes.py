"""Jobs over HTTP, through the real application."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from redis import Redis

from app.contract.recipe import Recipe
from app.corpora.models import Corpus
from app.jobs import transitions
from app.jobs.models import IdempotencyKey, Job, JobEvent
from tests.support.serving import MODEL, Service, serving

GONE = "job_00000000000000000000000000"


def rows(service: Service, table: type) -> int:
    with service.db.read() as session:
        return session.query(table).count()


def corpus_files(service: Service) -> int:
    return len(service.blobs.keys("corpora"))


def form(**fields: str) -> dict[str, tuple[str | None, str]]:
    parts: dict[str, tuple[str | None, str]] = {"base_model": (None, MODEL)}
    parts |= {name: (None, value) for name, value in fields.items()}
    return parts | {"corpus": ("corpus.txt", "one document\nanother\n")}


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    return str(answer.json()["code"])


def test_a_job_is_queued_and_told_of(service: Service, valkey: str) -> None:
    corpus_id = service.corpus()
    body = {"base_model": MODEL, "corpus_id": corpus_id, "metadata": {"team": "search"}}
    answer = service.http.post("/v1/jobs", json=body)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) > 0
    # The answer to a submission does not count the queue.
    assert service.http.get(answer.headers["location"]).json() == {**job, "queue_position": 1}
    assert job["recipe"] == Recipe().model_dump(mode="json")
    assert datetime.fromisoformat(job.pop("created_at")).tzinfo
    assert {name: job[name] for name in ("object", "status", "metadata", "attempt")} == {
        "object": "job",
        "status": "queued",
        "metadata": {"team": "search"},
        "attempt": 0,
    }
    assert job["progress"] == {
        "fraction": 0.0,
        "message": "waiting for a worker",
        "eta_seconds": None,
    }
    queue = Redis(unix_socket_path=valkey.removeprefix("redis+socket://"))
    deadline = time.monotonic() + 5
    while not any(job["id"] in str(message) for message in queue.lrange("fvt", 0, -1)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_and_its_corpus_in_one_form(service: Service) -> None:
    fields = form(recipe='{"vocab_size": 0.1}', metadata='{"a": "b"}', name="mine", format="text")
    answer = service.http.post("/v1/jobs", files=fields)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["recipe"]["vocab_size"], job["metadata"], job["name"]) == (0.1, {"a": "b"}, "mine")
    corpus = service.http.get(f"/v1/corpora/{job['corpus_id']}").json()
    assert (corpus["documents"], corpus["name"]) == (2, "mine")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"recipe": {"gate": {"max_bytes": 0}}}, 422, "invalid_recipe"),
        ({"webhook": "https://example.org"}, 422, "invalid_request"),
        ({"corpus_id": "corpus_gone"}, 404, "corpus_not_found"),
        ({"base_model": "../etc"}, 422, "invalid_model_id"),
        ({"base_model": "org/not-here"}, 422, "base_model_not_found"),
        ({"recipe": {"vocab_size": 10**6}}, 422, "vocab_size_above_base"),
        ({"recipe": {"vocab_size": [0.5, 10**6]}}, 422, "vocab_size_above_base"),
    ],
)
def test_what_cannot_work_is_refused(
    service: Service, body: dict[str, object], status: int, code: str
) -> None:
    jobs = rows(service, Job)
    valid = {"base_model": MODEL, "corpus_id": service.corpus()}
    assert problem(service.http.post("/v1/jobs", json={**valid, **body}), status) == code
    assert rows(service, Job) == jobs


def test_the_largest_vocabulary_is_named(service: Service) -> None:
    body = {"base_model": MODEL, "corpus_id": service.corpus(), "recipe": {"vocab_size": 30523}}
    answer = service.http.post("/v1/jobs", json=body).json()
    assert "30522" in answer["detail"]
    assert answer["errors"][0]["pointer"] == "/recipe/vocab_size"


@pytest.mark.parametrize(
    "fields",
    [
        {"recipe": "{"},
        {"recipe": '{"x": 1}'},
        {"base_model": "org/not-here"},
        {"unknown": "1"},
        {"format": "parquet"},
        {"webhook": "https://example.org"},
    ],
)
def test_a_refused_form_leaves_no_corpus(service: Service, fields: dict[str, str]) -> None:
    before = (rows(service, Corpus), corpus_files(service))
    problem(service.http.post("/v1/jobs", files=form(**fields)), 422)
    assert (rows(service, Corpus), corpus_files(service)) == before


def test_a_form_without_a_corpus(service: Service) -> None:
    answer = service.http.post("/v1/jobs", files={"base_model": (None, MODEL)})
    assert problem(answer, 422) == "missing_file"


def test_other_bodies_are_refused(service: Service) -> None:
    assert problem(service.http.post("/v1/jobs", data={"a": "b"}), 415) == "unsupported_media_type"
    answer = service.http.post(
        "/v1/jobs", content=b"{", headers={"content-type": "application/json"}
    )
    assert problem(answer, 400) == "malformed_json"


def test_the_same_key_makes_one_job(service: Service) -> None:
    body = {"base_model": MODEL, "corpus_id": service.corpus(), "recipe": {"seed": 1}}
    first = service.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k1"})
    reordered = dict(reversed(body.items()))
    again = service.http.post("/v1/jobs", json=reordered, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = {**body, "recipe": {"seed": 2}}
    answer = service.http.post("/v1/jobs", json=other, headers={"Idempotency-Key": "k1"})
    assert problem(answer, 422) == "idempotency_key_reused"
    answer = service.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k" * 256})
    assert problem(answer, 422) == "invalid_request"


def test_a_replayed_form_leaves_no_second_corpus(service: Service) -> None:
    key = {"Idempotency-Key": "form"}
    first = service.http.post("/v1/jobs", files=form(), headers=key)
    before = (rows(service, Job), rows(service, Corpus), corpus_files(service))
    again = service.http.post("/v1/jobs", files=form(), headers=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    changed = form() | {"corpus": ("corpus.txt", "something else\n")}
    answer = service.http.post("/v1/jobs", files=changed, headers=key)
    assert problem(answer, 422) == "idempotency_key_reused"
    assert (rows(service, Job), rows(service, Corpus), corpus_files(service)) == before


@pytest.mark.parametrize("as_form", [True, False])
def test_the_same_key_at_the_same_moment(service: Service, as_form: bool) -> None:
    body = {"base_model": MODEL, "corpus_id": service.corpus()}
    before = (rows(service, Job), rows(service, Corpus), corpus_files(service))
    headers = {"Idempotency-Key": f"race {as_form}"}

    def submit(_: int) -> httpx.Response:
        if as_form:
            return service.http.post("/v1/jobs", files=form(), headers=headers)
        return service.http.post("/v1/jobs", json=body, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(submit, range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    after = (rows(service, Job), rows(service, Corpus), corpus_files(service))
    assert after == (before[0] + 1, before[1] + as_form, before[2] + as_form)


def test_jobs_are_listed_newest_first(service: Service) -> None:
    made = []
    for number in range(3):
        made.append(service.submit(name=f"job {number}")["id"])
        time.sleep(0.002)
    service.claim(made[1])
    newest = service.http.get("/v1/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in newest["data"]] == [made[2], made[1]]
    assert newest["has_more"] is True
    rest = service.http.get("/v1/jobs", params={"limit": 1, "after": made[1]}).json()
    assert [job["id"] for job in rest["data"]] == [made[0]]
    running = service.http.get("/v1/jobs", params={"status": "running"}).json()["data"]
    assert made[1] in {job["id"] for job in running}
    assert {job["status"] for job in running} == {"running"}
    assert problem(service.http.get("/v1/jobs", params={"status": "odd"}), 422) == "invalid_request"


def test_a_queued_job_is_cancelled_at_once(service: Service) -> None:
    job_id = service.submit()["id"]
    answers = [service.http.post(f"/v1/jobs/{job_id}/cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["status"] == "cancelled"
    assert "retry-after" not in service.http.get(f"/v1/jobs/{job_id}").headers


def test_a_running_job_is_cancelled_by_its_worker(service: Service) -> None:
    job_id = service.submit()["id"]
    claim = service.claim(job_id)
    for _ in range(2):
        answer = service.http.post(f"/v1/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    transitions.cancelled(service.db, claim)
    answer = service.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_an_ended_job_is_not_cancelled(service: Service) -> None:
    job_id = service.submit()["id"]
    service.succeed(job_id, {}, b"archive")
    answer = service.http.post(f"/v1/jobs/{job_id}/cancel")
    assert problem(answer, 409) == "job_already_ended"
    job = service.http.get(f"/v1/jobs/{job_id}").json()
    assert job["artifact"]["url"] == f"/v1/jobs/{job_id}/download"
    assert (job["result"], job["progress"]["fraction"]) == ({"vocab_size": 7630}, 1.0)


def test_an_ended_job_is_deleted_with_all_that_is_its(service: Service) -> None:
    job = service.submit()
    path = f"/v1/jobs/{job['id']}"
    assert problem(service.http.delete(path), 409) == "job_active"
    service.succeed(job["id"], {"report.json": b"{}"}, b"archive")
    assert service.http.delete(path).status_code == 204
    assert problem(service.http.get(path), 404) == "job_not_found"
    assert service.blobs.keys(f"jobs/{job['id']}") == []
    with service.db.read() as session:
        assert session.query(JobEvent).filter_by(job_id=job["id"]).count() == 0
        assert session.query(IdempotencyKey).filter_by(job_id=job["id"]).count() == 0
    assert service.http.get(f"/v1/corpora/{job['corpus_id']}").status_code == 200


@pytest.mark.parametrize("job_id", [GONE, "x", "job_%00", "job_" + "a" * 999, "..%2f..%2fetc"])
@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/events"), ("GET", "/download")],
)
def test_no_such_job(service: Service, method: str, suffix: str, job_id: str) -> None:
    assert service.http.request(method, f"/v1/jobs/{job_id}{suffix}").status_code == 404


@pytest.fixture(scope="module")
def brokerless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose broker has never been there."""
    folder: Path = tmp_path_factory.mktemp("brokerless")
    with serving(folder, "redis://127.0.0.1:1/0", dispatch_seconds=0.2) as running:
        yield running


def test_a_submission_does_not_wait_for_the_broker(brokerless: Service) -> None:
    corpus_id = brokerless.corpus()
    began = time.monotonic()
    body = {"base_model": MODEL, "corpus_id": corpus_id}
    answer = brokerless.http.post("/v1/jobs", json=body)
    assert answer.status_code == 202
    assert time.monotonic() - began < 1
    assert brokerless.http.get(f"/v1/jobs/{answer.json()['id']}").json()["status"] == "queued"
    # A round takes the job, fails to send its message, and gives it up again.
    until = time.monotonic() + 10
    while answer.json()["id"] not in transitions.due(brokerless.db):
        assert time.monotonic() < until
        time.sleep(0.05)
