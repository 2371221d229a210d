"""What is refused before a route is looked at, or for what the service lacks at the moment."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import text

from tests.hostile.case import Answer, Case, Refused, Wanted, Works, get, refused
from tests.hostile.subjects.wires import GET, HEAD, JSON, POST, request, wire
from tests.support.outages import write_lock
from tests.support.s3 import environment_of

if TYPE_CHECKING:
    from tests.hostile.world import World

OPEN = {"auth": "off", "api_keys": "[]", "max_connections": "3"}
FULL = {"min_free_bytes": str(1 << 60)}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhi\r\n--b--\r\n'
)
ELSEWHERE = {"Origin": "https://elsewhere.example"}
FETCHED = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


def away() -> dict[str, str]:
    """Settings of an object store that nobody answers for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return {"blobs_url": "s3://bucket", **environment_of(f"http://127.0.0.1:{port}")}


AWAY = away()


def front(
    name: str,
    settings: dict[str, str],
    wanted: Wanted,
    method: str = "GET",
    path: str = "/v1/jobs",
    **sent: Any,
) -> Case:
    """Call an API that was started with other settings."""

    def send(world: "World") -> Answer:
        host, port = world.front(**settings)
        key = {} if settings is OPEN else {"authorization": world.http.headers["authorization"]}
        headers = key | sent.get("headers", {})
        given = {k: v for k, v in sent.items() if k != "headers"}
        if "json" in given:
            given["json"] = {"base_model": world.model, "corpus_id": world.corpus}
        url = f"http://{host}:{port}{world.fill(path)}"
        with httpx.Client(timeout=60, trust_env=False) as http:
            return Answer.of(http.request(method, url, headers=headers, **given))

    return Case(name, send, wanted)


@contextmanager
def locked(world: "World") -> Iterator[None]:
    """Keep others from writing to the database."""
    if world.service.db.engine.dialect.name == "sqlite":
        with write_lock(world.service.db):
            yield
        return
    with world.service.db.engine.begin() as connection:
        connection.execute(text("LOCK TABLE jobs, corpora IN ACCESS EXCLUSIVE MODE"))
        yield


def while_locked(name: str, path: str, **sent: Any) -> Case:
    def send(world: "World") -> Answer:
        given = dict(sent)
        if "json" in given:
            given["json"] = {"base_model": world.model, "corpus_id": world.corpus}
        with locked(world):
            return Answer.of(world.http.post(world.fill(path), **given))

    return Case(f"a locked database: {name}", send, refused("database_unavailable"))


def crowded(name: str, path: str, wanted: Wanted) -> Case:
    """Call an API that has as many requests inside as it takes."""

    def send(world: "World") -> Answer:
        address = world.front(**OPEN)
        half = request(b"POST /v1/corpora HTTP/1.1", b"Host: HOST\r\nContent-Length: 900\r\n", b"a")
        half = half.replace(b"HOST", "{}:{}".format(*address).encode())
        with ExitStack() as kept:
            for _ in range(int(OPEN["max_connections"])):
                connection = kept.enter_context(socket.create_connection(address, timeout=60))
                connection.sendall(half)
            with httpx.Client(timeout=60, trust_env=False) as http:
                for _ in range(50):
                    answer = Answer.of(http.get("http://{}:{}".format(*address) + path))
                    if not isinstance(wanted, Refused) or answer.status == 503:
                        return answer
        return answer

    return Case(f"a crowded service: {name}", send, wanted)


def again(name: str, wanted: Wanted, first: bytes, second: bytes, key: str) -> Case:
    """Upload twice under one key."""

    def send(world: "World") -> Answer:
        headers = {"Idempotency-Key": key}
        world.http.post("/v1/corpora", content=first, headers=headers)
        return Answer.of(world.http.post("/v1/corpora", content=second, headers=headers))

    return Case(f"a corpus under a key: {name}", send, wanted)


FROM_ELSEWHERE: dict[str, dict[str, Any]] = {
    "a form with a corpus": {
        "method": "POST",
        "path": "/v1/corpora",
        "headers": ELSEWHERE | FORM,
        "content": PART,
    },
    "a text": {
        "method": "POST",
        "path": "/v1/corpora",
        "headers": ELSEWHERE | {"Content-Type": "text/plain"},
        "content": b"hello\n",
    },
    "a job": {"method": "POST", "headers": ELSEWHERE, "json": {}},
    "a cancel": {"method": "POST", "path": "/v1/jobs/{running}/cancel", "headers": ELSEWHERE},
    "a deletion": {"method": "DELETE", "path": "/v1/jobs/{failed}", "headers": ELSEWHERE},
    "a preflight": {
        "method": "OPTIONS",
        "headers": ELSEWHERE | {"Access-Control-Request-Method": "POST"},
    },
    "a list": {"headers": ELSEWHERE},
    "no origin's name": {"headers": {"Origin": "null"}},
    "an origin on another port": {"headers": {"Origin": "http://127.0.0.1:1"}},
    "a picture": {"headers": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}},
    "a page of the same site": {"headers": {"Sec-Fetch-Site": "same-site"} | FETCHED},
    "its schema": {"path": "/openapi.json", "headers": ELSEWHERE},
    "the metrics": {"path": "/metrics", "headers": {"Sec-Fetch-Site": "cross-site"}},
}
FOREIGN_HOSTS = ("elsewhere.example", "fvt.example.com.evil", "localhost.evil", "169.254.169.254")
NO_HOSTS = {
    "none": b"",
    "two": b"Host: HOST\r\nHost: HOST\r\n",
    "an empty one": b"Host:\r\n",
    "a path": b"Host: HOST/a\r\n",
    "a user": b"Host: user@HOST\r\n",
    "no port": b"Host: localhost:x\r\n",
}
KEYLESS = b"Authorization: Bearer KEY\r\n"

CASES: list[Case] = [
    *(
        front(f"from another origin: {name}", OPEN, refused("cross_origin"), **call)
        for name, call in FROM_ELSEWHERE.items()
    ),
    front(
        "a page of its own",
        OPEN,
        Works(),
        headers={"Sec-Fetch-Site": "same-origin"} | FETCHED,
    ),
    front("a program", OPEN, Works()),
    *(
        wire(
            f"the host {host}",
            request(GET, f"Host: {host}\r\n".encode() + KEYLESS),
            refused("host_not_allowed"),
        )
        for host in FOREIGN_HOSTS
    ),
    front(
        "a name that leads here, without a key",
        OPEN,
        refused("host_not_allowed"),
        headers={"Host": "rebound.example"},
    ),
    wire("an allowed host", request(GET, b"Host: fvt.example.com\r\n"), Works()),
    *(
        wire(f"the host: {name}", request(GET, lines + KEYLESS), refused("invalid_host"))
        if name not in {"none", "two"}
        else wire(
            f"the host: {name}",
            request(GET, lines + KEYLESS),
            Refused(("invalid_host", "malformed_request")),
        )
        for name, lines in NO_HOSTS.items()
    ),
    wire(
        "a head of 40 KB",
        request(GET, HEAD + b"X-A: " + b"a" * 40_000 + b"\r\n"),
        refused("request_head_too_large"),
    ),
    wire(
        "3,000 headers",
        request(GET, HEAD + b"".join(b"X-%d: abc\r\n" % n for n in range(3000))),
        refused("request_head_too_large"),
    ),
    wire("a head that stops", GET + b"\r\nHost: HOST\r\n", refused("request_timeout")),
    wire(
        "a body that stops",
        request(POST, JSON + b"Content-Length: 20\r\n", b'{"base'),
        refused("request_timeout"),
    ),
    wire("a line of letters", b"hello world\r\n\r\n", refused("malformed_request")),
    wire(
        "two lengths that differ",
        request(POST, JSON + b"Content-Length: 2\r\nContent-Length: 40\r\n", b"{}"),
        refused("malformed_request"),
    ),
    front(
        "a full disk: an upload",
        FULL,
        refused("insufficient_storage"),
        "POST",
        "/v1/corpora",
        content=b"a text\n",
    ),
    front("a full disk: a job", FULL, refused("insufficient_storage"), "POST", json={}),
    front("a full disk: a list", FULL, Works()),
    front(
        "a store that is away: an upload",
        AWAY,
        refused("storage_unavailable"),
        "POST",
        "/v1/corpora",
        content=b"a text\n",
    ),
    front("a store that is away: a list", AWAY, Works()),
    while_locked("an upload", "/v1/corpora", content=b"a text\n"),
    while_locked("a job", "/v1/jobs", json={}),
    while_locked("a cancel", "/v1/jobs/{queued}/cancel"),
    crowded("a list", "/v1/jobs", refused("too_many_connections")),
    crowded("a probe", "/healthz", Works()),
    get("an expired result", "/v1/jobs/{expired}/download", refused("artifact_expired")),
    get(
        "a file of an expired result",
        "/v1/jobs/{expired}/artifacts/config.json",
        refused("artifact_expired"),
    ),
    get("a job whose result expired", "/v1/jobs/{expired}", Works()),
    again("the same", Works(201, headers={"idempotent-replayed": "true"}), b"x\n", b"x\n", "same"),
    again("another", refused("idempotency_key_reused"), b"x\n", b"y\n", "another"),
    again("an empty key", refused("invalid_request"), b"x\n", b"x\n", ""),
    again("a key of 256 characters", refused("invalid_request"), b"x\n", b"x\n", "k" * 256),
]
