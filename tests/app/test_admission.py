"""Who may call: hosts, origins and keys, before a body is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.hosts import AllowedHosts, is_loopback, parse_host
from app.main import create_app
from app.settings import Settings
from tests.support.raw_http import Answer, exchange, request
from tests.support.serving import Service, serving

KEY = "a-key-for-the-admission"
FORM = (
    b"--b\r\nContent-Disposition: form-data; name=file; filename=c.txt\r\n\r\n"
    b"one document\nanother\n\r\n--b--\r\n"
)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """A service that asks for a key."""
    folder = tmp_path_factory.mktemp("closed")
    with serving(folder, valkey, auth="on", api_keys=[KEY]) as running:
        yield running


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """An open service with names of its own."""
    hosts = ["fvt.example.com", "*.example.org", "fe80::1"]
    with serving(tmp_path_factory.mktemp("named"), valkey, allowed_hosts=hosts) as running:
        yield running


def asked(service: Service, *lines: str, **options: Any) -> Answer:
    answer = exchange(service.http.base_url, request(*lines, **options))
    assert answer
    return answer


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.problem["code"]) == (status, code), answer
    assert answer.headers["content-type"] == "application/problem+json"


OURS = [
    *("localhost", "localhost:8000", "LOCALHOST:80", "localhost.", "LocalHost.:1", "localhost:"),
    *("127.0.0.1", "127.0.0.1:8000", "127.8.9.10", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]"),
    "[::ffff:127.0.0.1]:8000",
]
FOREIGN = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("evil-localhost", "localhostx", "10.0.0.1", "[fe80::1]", "[::ffff:10.0.0.1]", "0.0.0.0"),
    *("127.1", "2130706433", "localhost.."),
]
MALFORMED = [
    *("", " ", "localhost@evil.example", "evil.example@localhost", "local host", "localhost:x"),
    *("[::1", "::1", "[evil]", "localhost/", "localhost:80:80", "localhost,evil", "[::1]x"),
    *("lo\xf6calhost", "http://localhost", "localhost:-1", "localhost:999999", "[::1%eth0]"),
]


@pytest.mark.parametrize("host", OURS)
def test_our_own_names_are_answered_to(service: Service, host: str) -> None:
    assert asked(service, f"Host: {host}").status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_made_to_point_here_is_not_answered_to(service: Service, host: str) -> None:
    for path in ("/v1/jobs", "/v1/jobs/x/events", "/healthz", "/docs", "/", "/nothing"):
        first = f"GET {path} HTTP/1.1"
        assert_refused(asked(service, f"Host: {host}", first=first), 421, "host_not_allowed")


@pytest.mark.parametrize("host", MALFORMED)
def test_what_is_no_host_is_refused(service: Service, closed: Service, host: str) -> None:
    for each in (service, closed):
        assert_refused(asked(each, f"Host: {host}"), 400, "invalid_host")


def test_one_host_must_be_given(service: Service) -> None:
    absent = request()
    twice = request("Host: localhost", "Host: localhost")
    for sent in (absent, twice):
        answer = exchange(service.http.base_url, sent)
        assert answer
        assert_refused(answer, 400, "malformed_request")
    assert_refused(asked(service, first="GET /v1/jobs HTTP/1.0"), 400, "invalid_host")


def test_hosts_of_the_setting(named: Service) -> None:
    for host in ("fvt.example.com", "FVT.EXAMPLE.COM.:443", "a.b.example.org", "[FE80:0::1]:80"):
        assert asked(named, f"Host: {host}").status == 200
    assert asked(named, "Host: localhost").status == 200
    for host in ("example.org", "x.fvt.example.com", "badexample.org"):
        assert_refused(asked(named, f"Host: {host}"), 421, "host_not_allowed")


def test_with_keys_any_name_does_unless_names_are_set(
    closed: Service, tmp_path: Path, valkey: str
) -> None:
    key = f"Authorization: Bearer {KEY}"
    assert asked(closed, "Host: any.example", key).status == 200
    allowed: dict[str, Any] = {"auth": "on", "api_keys": [KEY], "allowed_hosts": ["mine.example"]}
    with serving(tmp_path, valkey, **allowed) as running:
        assert asked(running, "Host: mine.example", key).status == 200
        assert_refused(asked(running, "Host: any.example", key), 421, "host_not_allowed")


@pytest.mark.parametrize("entry", ["http://a", "a:80", "a/b", "", "a b", "[::1]:80", "*."])
def test_an_entry_that_is_no_host_ends_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="FVT_ALLOWED_HOSTS"):
        create_app(Settings(auth="off", allowed_hosts=[entry]))


@given(st.ip_addresses())
def test_an_address_is_loopback_in_each_spelling(address: Any) -> None:
    given = f"[{address.exploded.upper()}]" if address.version == 6 else str(address)
    host = parse_host(f"{given}:8000")
    assert host
    assert host.port == 8000
    mapped = getattr(address, "ipv4_mapped", None)
    assert is_loopback(host.name) == (mapped or address).is_loopback
    assert AllowedHosts([]).allows(host.name, str(address))


SAME_ORIGIN = [
    ["Sec-Fetch-Site: same-origin"],
    ["Sec-Fetch-Site: none"],
    ["Origin: http://localhost:8000"],
    ["Origin: http://LOCALHOST.:8000", "Sec-Fetch-Site: Same-Origin"],
    [],
]
CROSS_ORIGIN = [
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],
    ["Sec-Fetch-Site: nonsense"],
    ["Sec-Fetch-Site:"],
    ["Sec-Fetch-Site: same-origin, cross-site"],
    ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
    ["Origin: null"],
    ["Origin:"],
    ["Origin: http://evil.example"],
    ["Origin: http://evil.example", "Sec-Fetch-Site: same-origin"],
    ["Origin: http://localhost"],
    ["Origin: http://localhost:3000"],
    ["Origin: http://127.0.0.1:8000"],
    ["Origin: http://localhost:8000@evil.example"],
    ["Origin: http://user@localhost:8000"],
    ["Origin: http://localhost:8000.evil.example"],
    ["Origin: http://localhost:8000/"],
    ["Origin: localhost:8000"],
    ["Origin: file://"],
    ["Origin: chrome-extension://localhost:8000"],
    ["Origin: http://localhost:8000", "Origin: http://evil.example"],
    ["Origin: http://localhost:8000, http://evil.example"],
]


@pytest.mark.parametrize("lines", SAME_ORIGIN)
def test_programs_and_our_own_pages_are_let_in(service: Service, lines: list[str]) -> None:
    assert asked(service, "Host: localhost:8000", *lines).status == 200


@pytest.mark.parametrize("lines", CROSS_ORIGIN)
def test_pages_of_other_origins_may_not_call(service: Service, lines: list[str]) -> None:
    before = service.http.get("/v1/corpora").json()
    calls = {
        "GET /v1/jobs": [],
        "HEAD /v1/jobs/x/download": [],
        "GET /v1/jobs/x/events": ["Accept: text/event-stream"],
        "OPTIONS /v1/jobs": ["Access-Control-Request-Method: POST"],
        "POST /v1/jobs/x/cancel": ["Content-Length: 0"],
        "POST /v1/corpora": ["Content-Type: text/plain", "Content-Length: 9"],
        "POST /v1/jobs": ["Content-Type: multipart/form-data; boundary=b", "Content-Length: 9"],
        "DELETE /v1/corpora/x": [],
        "GET /healthz": [],
        "GET /openapi.json": [],
    }
    for call, more in calls.items():
        first = f"{call} HTTP/1.1"
        body = b"nine byte" if "Content-Length: 9" in more else b""
        answer = asked(service, "Host: localhost:8000", *lines, *more, first=first, body=body)
        if call.startswith("HEAD"):
            assert answer.status == 403
        else:
            assert_refused(answer, 403, "cross_origin")
        assert "access-control-allow-origin" not in answer.headers
    assert service.http.get("/v1/corpora").json() == before


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("[::1]:8000", "http://[::1]:8000"),
        ("[::1]:8000", "http://[0:0:0:0:0:0:0:1]:8000"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        # A proxy that ends TLS.
        ("fvt.example.com", "https://fvt.example.com"),
        ("fvt.example.com", "https://FVT.example.com:443"),
    ],
)
def test_an_origin_is_compared_as_browsers_mean_it(named: Service, host: str, origin: str) -> None:
    answer = asked(named, f"Host: {host}", f"Origin: {origin}", "Sec-Fetch-Site: same-origin")
    assert answer.status == 200


def test_a_link_on_another_site_opens_a_page_and_nothing_else(service: Service) -> None:
    visit = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]
    lines = ["Host: localhost:8000", *visit, "Sec-Fetch-Dest: document"]
    assert asked(service, *lines, first="GET /docs HTTP/1.1").status == 200
    assert asked(service, *lines, first="GET /v1/jobs HTTP/1.1").status == 403
    framed = ["Host: localhost:8000", *visit, "Sec-Fetch-Dest: iframe"]
    assert asked(service, *framed, first="GET /docs HTTP/1.1").status == 403
    post = asked(service, *lines, "Content-Length: 0", first="POST /docs HTTP/1.1")
    assert post.status == 403


def test_our_own_page_uploads_and_submits(service: Service) -> None:
    origin = str(service.http.base_url).rstrip("/")
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    answer = service.http.post(
        "/v1/corpora",
        content=FORM,
        headers={**headers, "Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 201, answer.text


def test_with_keys_origins_do_not_matter(closed: Service) -> None:
    key = f"Authorization: Bearer {KEY}"
    answer = asked(closed, "Host: localhost", "Origin: http://pages.example", key)
    assert answer.status == 200


def test_every_route_that_needs_a_key_is_where_the_edge_asks_for_it() -> None:
    document = create_app(Settings(auth="off")).openapi()
    needing = {
        path
        for path, operations in document["paths"].items()
        if any("security" in operation for operation in operations.values())
    }
    assert needing == {path for path in document["paths"] if path.startswith("/v1/")}
    assert len(needing) > 10


@pytest.mark.parametrize(
    ("path", "authorization", "code"),
    [
        ("/v1/corpora", "", "missing_key"),
        ("/v1/jobs", "Bearer", "missing_key"),
        ("/v1/jobs/x/cancel", "Bearer wrong-wrong-wrong", "invalid_key"),
        ("/v1/nothing", "Basic YTpi", "missing_key"),
    ],
)
def test_a_body_without_a_key_is_not_read(
    closed: Service, path: str, authorization: str, code: str
) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1 << 20
            yield bytes(1 << 20)

    headers = {"Authorization": authorization} if authorization else {}
    url = closed.http.base_url.join(path)
    answer = httpx.post(url, content=body(), headers=headers)
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == code
    assert answer.headers["connection"] == "close"
    # What the buffers of both sockets take, and what is thrown away so that the answer arrives.
    assert sent < 32 << 20


def test_every_answer_says_that_nothing_else_may_use_it(service: Service, closed: Service) -> None:
    answers = [
        service.http.get("/healthz"),
        service.http.get("/v1/jobs"),
        service.http.get("/nothing"),
        service.http.get("/docs"),
        service.http.get("/openapi.json"),
        service.http.post("/v1/jobs", json={}),
        service.http.get("/healthz", headers={"Host": "evil.example"}),
        closed.http.get("/v1/jobs"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
