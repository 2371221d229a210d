"""What answers become: types of the contract, or exceptions that say what to do."""

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.errors import ERRORS, JobError
from app.jobs import transitions
from fvt_client import Client, FvtError, errors
from fvt_client.errors import (
    CorpusInUse,
    CorpusNotFound,
    CorpusTooSmall,
    IncompatibleServiceError,
    InvalidKey,
    InvalidRecipe,
    JobFailure,
    NotFoundError,
    ProblemError,
    ServerError,
    UnreachableError,
)
from fvt_client.responses import retry_after
from tests.support.scripted import Answer, scripted
from tests.support.serving import MODEL, Service, serving

BUSY = Answer(503, '{"code": "not_ready", "detail": "Not yet."}', {"Retry-After": "1"})
NONE = Answer(200, '{"object": "list", "data": [], "has_more": false}')


def test_every_code_has_a_class_of_its_status() -> None:
    assert errors.BY_CODE.keys() == ERRORS.keys()
    for code, class_ in errors.BY_CODE.items():
        assert class_.__name__.lower() == code.replace("_", "")
        assert issubclass(class_, NotFoundError) == (ERRORS[code].status == 404)
        assert issubclass(class_, ServerError) == ((ERRORS[code].status or 0) >= 500)


def test_a_refusal_is_raised_by_its_code(service: Service, client: Client) -> None:
    with pytest.raises(CorpusNotFound, match="corpus_not_found") as caught:
        client.corpus("corpus_none")
    assert (caught.value.status, caught.value.code) == (404, "corpus_not_found")
    assert caught.value.request_id
    corpus = client.corpus(service.corpus())
    with pytest.raises(InvalidRecipe) as refused:
        client.compress(MODEL, corpus, recipe={"vocab_size": -1})
    assert refused.value.errors[0][0] == "/recipe/vocab_size"
    client.compress(MODEL, corpus)
    with pytest.raises(CorpusInUse):
        client.delete_corpus(corpus.id)


def test_a_job_that_failed_raises_both_of_its_classes(service: Service, client: Client) -> None:
    job = client.compress(MODEL, client.corpus(service.corpus()))
    error = JobError(type="user", code="corpus_too_small", message="Too small.", retryable=False)
    transitions.fail(service.db, service.claim(job.id), error)
    with pytest.raises(CorpusTooSmall, match="Too small") as caught:
        job.wait(poll=0.01)
    assert isinstance(caught.value, JobFailure)
    assert caught.value.job
    assert caught.value.job.id == job.id
    assert job.wait(check=False).status == "failed"
    assert job.error
    job.delete()
    with pytest.raises(errors.JobNotFound):
        job.refresh()


def test_a_cancelled_job(service: Service, client: Client) -> None:
    job = client.compress(MODEL, client.corpus(service.corpus())).cancel()
    assert job.is_over
    assert job.cancel().status == "cancelled"
    with pytest.raises(JobFailure, match="was cancelled"):
        job.wait()
    with pytest.raises(JobFailure, match="was cancelled"):
        job.download("nowhere")


def test_a_key_that_is_wrong(tmp_path: Path, valkey: str) -> None:
    with serving(tmp_path, valkey, auth="on", api_keys=["right-key-of-16-letters"]) as running:
        url = str(running.http.base_url)
        with Client(url, "wrong-key") as client, pytest.raises(InvalidKey):
            client.jobs()
        with Client(url, "right-key-of-16-letters") as client:
            assert client.jobs() == []
    with pytest.raises(FvtError, match="copy it again"):
        Client("http://localhost", "key\n")


def test_retry_after_is_kept() -> None:
    with scripted(BUSY, NONE) as server, Client(server.url) as client:
        began = time.monotonic()
        assert client.jobs() == []
        assert 1 <= time.monotonic() - began < 3
        assert len(server.requests) == 2


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    busy = Answer(429, "{}", {"Retry-After": date})
    with scripted(busy, NONE) as server, Client(server.url) as client:
        began = time.monotonic()
        assert client.jobs() == []
        assert 0.5 <= time.monotonic() - began < 4


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126))
    | st.integers().map(str)
    | st.builds(
        "{}, {} Jan {} {}:00:00 {}".format,
        st.sampled_from(["Mon", "Sun", ""]),
        st.integers(-1, 40),
        st.integers(0, 10_000),
        st.integers(0, 30),
        st.sampled_from(["GMT", "-0000", "+9999", ""]),
    )
)
def test_any_retry_after_is_a_time_or_nothing(text: str) -> None:
    seconds = retry_after(httpx.Response(503, headers={"Retry-After": text}))
    assert seconds is None or seconds >= 0


def test_a_long_retry_after_is_left_to_the_caller() -> None:
    busy = Answer(429, "{}", {"Retry-After": "3600"})
    with (
        scripted(busy) as server,
        Client(server.url) as client,
        pytest.raises(errors.RateLimitError) as caught,
    ):
        client.jobs()
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 422, 500])
def test_what_will_not_change_is_asked_once(status: int) -> None:
    with scripted(Answer(status)) as server, Client(server.url) as client:
        with pytest.raises(ProblemError):
            client.jobs()
        assert len(server.requests) == 1


JOB = {
    "id": "job_1", "name": None, "base_model": "m", "revision": None, "corpus_id": "c",
    "recipe": {"of_tomorrow": 1}, "metadata": {}, "status": "running", "stage": None,
    "progress": {"fraction": 0.5, "message": "", "eta_seconds": None, "queue_position": 3},
    "attempt": 1, "error": None, "result": None, "created_at": "2026-01-01T00:00:00Z",
    "started_at": None, "finished_at": None, "artifact": None, "carbon_grams": 3,
}  # fmt: skip


def test_fields_of_a_newer_service_are_passed_over() -> None:
    with scripted(Answer(200, json.dumps(JOB))) as server, Client(server.url) as client:
        job = client.get("job_1")
    assert job.progress.fraction == 0.5
    assert not hasattr(job, "carbon_grams")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(404, "<html>"), "does not answer as an FVT Service"),
        (Answer(200, "<html>"), "does not answer as an FVT Service"),
        (Answer(200, "[]", {"X-Fvt-Version": "9.0.0"}), r"pip install 'fvt-client==9\.0\.0'"),
        (
            Answer(404, '{"code": "route_not_found"}', {"X-Fvt-Version": "9.1.0"}),
            "of version 9.1.0, and this client is",
        ),
        (
            Answer(404, '{"code": "route_not_found"}', {"X-Fvt-Version": "0.1.0"}),
            "Have the service updated",
        ),
    ],
)
def test_a_service_of_another_kind_or_version(answer: Answer, says: str) -> None:
    with (
        scripted(answer) as server,
        Client(server.url) as client,
        pytest.raises(IncompatibleServiceError, match=says),
    ):
        client.get("job_1")


def test_no_service_at_all() -> None:
    with (
        Client("http://127.0.0.1:9", retries=0) as client,
        pytest.raises(UnreachableError, match=r"No answer from http://127\.0\.0\.1:9"),
    ):
        client.jobs()
    with pytest.raises(FvtError, match="is not an http"):
        Client("localhost:8000")


def test_ids_may_be_cut_short(service: Service, client: Client) -> None:
    first, second = (str(service.submit()["id"]) for _ in range(2))
    shared = len("job_") + 6
    with pytest.raises(errors.AmbiguousIdError, match="jobs begin with"):
        client.job(first[:shared])
    assert client.job(first[:-1]).id == first
    assert client.job(second.removeprefix("job_")[:-1]).id == second
    with pytest.raises(errors.AmbiguousIdError, match="No job's id"):
        client.job("job_zzz")


def test_the_service_says_its_version(service: Service) -> None:
    assert service.http.get("/healthz").headers["x-fvt-version"]
    assert service.http.get("/v1/nothing").headers["x-fvt-version"]
