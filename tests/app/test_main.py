import logging
from collections.abc import Iterator

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.support.serving import Service, serving

KEY = "a-key-of-our-own-!~"
ANOTHER = "another-key-of-ours"
OPEN = ("/healthz", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json")
CLOSED = ("/v1/corpora", "/v1/jobs", "/v1/base-models", "/v1/jobs/x/download", "/v1/corpora/x")


def problem_of(answer: httpx.Response, status: int, code: str) -> str:
    """The detail of an answer that must be this problem, whole."""
    problem = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == problem["request_id"]
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"/problems/{code}"
    return str(problem["detail"])


def test_a_request_id_is_taken_over_if_it_is_sane(service: Service) -> None:
    answer = service.http.get("/healthz", headers={"X-Request-Id": "client-1.a_B"})
    assert answer.headers["x-request-id"] == "client-1.a_B"


@pytest.mark.parametrize("given", [None, "a b", "x" * 65, "ä".encode(), '"'])
def test_else_a_request_id_is_made(service: Service, given: str | bytes | None) -> None:
    headers = {b"X-Request-Id": given.encode() if isinstance(given, str) else given or b""}
    made = {service.http.get("/healthz", headers=headers).headers["x-request-id"] for _ in "ab"}
    assert len(made) == 2
    assert all(request_id.startswith("req_") for request_id in made)


def test_errors_of_the_framework_are_problems(service: Service) -> None:
    problem_of(service.http.get("/v1/nothing"), 404, "route_not_found")
    answer = service.http.put("/v1/corpora")
    problem_of(answer, 405, "method_not_allowed")
    assert "allow" in answer.headers
    detail = problem_of(service.http.get("/v1/corpora?limit=0"), 422, "invalid_request")
    assert "limit" in detail


@pytest.mark.parametrize("chunked", [False, True])
def test_a_json_body_has_a_limit(service: Service, chunked: bool) -> None:
    body = b'{"name": "' + b"x" * (1 << 20) + b'"}'
    content = iter([body[:1000], body[1000:]]) if chunked else body
    headers = {"content-type": "application/json"}
    answer = service.http.post("/v1/jobs", content=content, headers=headers)
    assert "1048576 bytes" in problem_of(answer, 413, "request_too_large")


def test_a_bug_is_a_logged_problem(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret inner workings")

    monkeypatch.setattr("app.corpora.service.list_page", broken)
    with caplog.at_level(logging.INFO, "app.middleware"):
        answer = service.http.get("/v1/corpora", headers={"X-Request-Id": "bug-1"})
    assert "secret" not in answer.text
    problem_of(answer, 500, "internal_error")
    [record] = [record for record in caplog.records if record.exc_info]
    assert "request_id=bug-1" in record.getMessage()
    assert "secret inner workings" in caplog.text


def test_each_request_is_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.middleware"):
        service.http.get("/healthz", headers={"X-Request-Id": "line-1"})
    assert "GET '/healthz' 200" in caplog.text
    assert "request_id=line-1" in caplog.text


@pytest.mark.parametrize("keys", [[], [""], ["good", ""]])
def test_it_does_not_start_with_auth_on_and_no_key(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="FVT_API_KEYS"):
        create_app(Settings(auth="on", api_keys=keys))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """A service that asks for a key."""
    keys = {"auth": "on", "api_keys": [ANOTHER, KEY]}
    with serving(tmp_path_factory.mktemp("closed"), valkey, **keys) as running:
        yield running


@pytest.mark.parametrize("path", CLOSED)
def test_calls_need_a_key(closed: Service, path: str) -> None:
    answer = closed.http.get(path)
    problem_of(answer, 401, "missing_key")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("given", ["Bearer wrong", "Bearer", "Basic YTpi", KEY, f"Bearer {KEY}x"])
def test_a_wrong_key_is_refused(closed: Service, given: str) -> None:
    answer = closed.http.get("/v1/corpora", headers={b"Authorization": given.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", [ANOTHER, KEY])
def test_every_key_opens(closed: Service, key: str) -> None:
    headers = {b"Authorization": f"Bearer {key}".encode("latin-1")}
    assert closed.http.get("/v1/corpora", headers=headers).status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_documentation_stay_open(closed: Service, path: str) -> None:
    assert closed.http.get(path).status_code == 200
