"""Requests that never become whole: they are bounded in size, in time and in number."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import repeat
from pathlib import Path

import httpx
import pytest

from app.server import MAX_HEAD_BYTES
from tests.support.api_process import ApiProcess, api_process
from tests.support.raw_http import Answer, connected, exchange, read_answer, request

SECONDS = 1.5
CONNECTIONS = 40
START = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
POST = "POST /v1/corpora HTTP/1.1"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[ApiProcess]:
    limits = {"FVT_REQUEST_SECONDS": str(SECONDS), "FVT_MAX_CONNECTIONS": str(CONNECTIONS)}
    with api_process(tmp_path_factory.mktemp("api"), valkey, **limits) as running:
        assert httpx.get(f"{running.url}/v1/jobs").is_success
        yield running


def poured(api: ApiProcess, first: bytes, pieces: Iterator[bytes]) -> tuple[Answer | None, int]:
    """Send as much as the server takes; the answer, and how many bytes were sent."""
    sent = 0
    with connected(api.url) as client:
        client.sendall(first)
        with suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
                sent += len(piece)
        return read_answer(client), sent


def assert_problem(answer: Answer | None, status: int, code: str) -> None:
    assert answer
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (START + b"X: ", b"x" * 65536),
        (START, b"a: b\r\n" * 10000),
        (START, b"Cookie: %s\r\n" % (b"c" * 1000) * 60),
        (b"GET /", b"p" * 65536),
        (b"G", b"E" * 65536),
        (START + b"X: y\r\n", b" folded\r\n" * 8000),
        (b"", b"\r\n" * 30000),
    ],
    ids=["one header", "many headers", "cookies", "path", "method", "folded", "empty lines"],
)
def test_a_head_without_end_is_refused_early(api: ApiProcess, first: bytes, piece: bytes) -> None:
    with api.growing_less_than(16):
        answer, sent = poured(api, first, repeat(piece, 150_000_000 // len(piece)))
    assert sent < 32 << 20
    assert answer is None or answer.status in {400, 431}
    assert api.is_healthy()


@pytest.mark.parametrize("extra", [1, 60_000])
def test_the_limit_of_a_head(api: ApiProcess, extra: int) -> None:
    """It holds too for one that arrives in one piece."""
    room = MAX_HEAD_BYTES - len(request("Host: localhost", "X: ")) - 20
    fits = exchange(api.url, request("Host: localhost", f"X: {'x' * room}"))
    assert fits
    assert fits.status == 200
    too_much = exchange(api.url, request("Host: localhost", f"X: {'x' * (room + 100 + extra)}"))
    assert_problem(too_much, 431, "request_head_too_large")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls\r\n\r\n",
        b"GET /v1/jobs\r\n\r\n",
        b"GET /v1/j\xc3\xb6bs HTTP/1.1\r\nHost: localhost\r\n\r\n",
        START + b"no colon\r\n\r\n",
        START + b"X: a\x00b\r\n\r\n",
        START + b"Content-Length: -1\r\n\r\n",
        START + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        START + b"Transfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem(api: ApiProcess, sent: bytes) -> None:
    assert_problem(exchange(api.url, sent), 400, "malformed_request")


@pytest.mark.slow
def test_chunks_trailers_and_requests_sent_ahead_are_bounded(api: ApiProcess) -> None:
    chunked = request("Host: localhost", "Transfer-Encoding: chunked", first=POST)
    chunked = chunked.replace(b"Connection: close\r\n", b"")
    ahead = request("Host: localhost", first="GET /healthz HTTP/1.1")
    ahead = ahead.replace(b"Connection: close\r\n", b"")
    floods = [
        (chunked + b"1\r\nx\r\n0\r\n", b"a: b\r\n" * 10_000),
        (chunked, b"1;" + b"e" * 65536),
        (chunked + b"f" * 30, b"f" * 65536),
    ]
    with api.growing_less_than(32):
        for first, piece in floods:
            _, sent = poured(api, first, repeat(piece, 1000))
            assert sent < 32 << 20
        with connected(api.url) as client:
            client.settimeout(1)
            with suppress(TimeoutError, ConnectionError):
                for _ in range(200):
                    client.sendall(ahead * 2000)
    assert api.is_healthy()


def trickle(client: socket.socket, pause: float = 0.2, byte: bytes = b"x") -> float:
    """Send a byte at a time until the server has had enough; how long it took."""
    start = time.monotonic()
    client.settimeout(pause)
    while time.monotonic() - start < 10 * SECONDS:
        with suppress(TimeoutError):
            # An answer, or the end, is looked at without being taken.
            client.recv(1, socket.MSG_PEEK)
            break
        client.sendall(byte)
    client.settimeout(5)
    return time.monotonic() - start


@pytest.mark.slow
def test_a_head_that_trickles_ends_in_time(api: ApiProcess) -> None:
    with connected(api.url) as client:
        client.sendall(START + b"X: ")
        assert SECONDS * 0.5 < trickle(client) < SECONDS * 2
        assert_problem(read_answer(client), 408, "request_timeout")
    # One that follows another request on its connection ends as well.
    with connected(api.url) as client:
        client.sendall(START + b"\r\n" + START + b"X: ")
        assert trickle(client, 0.1) < SECONDS
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert trickle(client) < SECONDS * 2


@pytest.mark.parametrize(
    ("path", "kind", "start"),
    [
        ("/v1/corpora", "text/plain", b""),
        ("/v1/jobs", "application/json", b"{"),
        ("/v1/jobs", "multipart/form-data; boundary=b", b"--b\r\n"),
    ],
)
@pytest.mark.slow
@pytest.mark.parametrize("length", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_that_trickles_ends_in_time(
    api: ApiProcess, path: str, kind: str, start: bytes, length: str
) -> None:
    lines = ("Host: localhost", f"Content-Type: {kind}", length)
    with connected(api.url) as client:
        client.sendall(request(*lines, first=f"POST {path} HTTP/1.1"))
        if "chunked" in length:
            client.sendall(b"186A0\r\n")
        client.sendall(start)
        assert SECONDS * 0.5 < trickle(client) < SECONDS * 2
        assert_problem(read_answer(client), 408, "request_timeout")


@pytest.mark.slow
def test_a_slow_body_that_goes_on_is_taken(api: ApiProcess) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(10):
            time.sleep(SECONDS / 4)
            yield b"a document of a slow client\n" * 100

    headers = {"Content-Type": "text/plain"}
    answer = httpx.post(f"{api.url}/v1/corpora", content=body(), headers=headers, timeout=30)
    assert answer.status_code == 201, answer.text
    assert answer.json()["documents"] == 1000


@pytest.mark.slow
def test_a_thousand_half_sent_requests_keep_nobody_out(api: ApiProcess) -> None:
    with api.growing_less_than(48), ExitStack() as stack:
        for number in range(1000):
            client = stack.enter_context(connected(api.url))
            client.sendall(START + b"X: half")
            if number % 100 == 99:
                assert api.is_healthy()
                assert httpx.get(f"{api.url}/v1/jobs", timeout=2).is_success
        assert len(api.process.net_connections()) < CONNECTIONS + 150
    assert api.is_healthy()


def test_more_requests_at_once_than_the_limit_are_told_so(api: ApiProcess) -> None:
    lines = ("Host: localhost", "Content-Type: text/plain", "Content-Length: 100000")
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            client = stack.enter_context(connected(api.url))
            client.sendall(request(*lines, first=POST))
        time.sleep(0.3)
        answer = exchange(api.url, request("Host: localhost"))
        assert_problem(answer, 503, "too_many_connections")
        assert answer
        assert int(answer.headers["retry-after"]) > 0
        assert api.is_healthy()
    time.sleep(0.3)
    assert httpx.get(f"{api.url}/v1/jobs").is_success


@pytest.mark.slow
def test_an_idle_connection_is_used_again_and_closed_in_silence(api: ApiProcess) -> None:
    with connected(api.url) as client:
        for _ in range(3):
            client.sendall(START + b"\r\n")
            received = b""
            while b"has_more" not in received:
                received += client.recv(1 << 16)
            assert received.startswith(b"HTTP/1.1 200")
        assert client.recv(1 << 16) == b""
    with connected(api.url) as client:
        assert client.recv(1 << 16) == b""


@pytest.mark.slow
def test_an_upload_of_hundreds_of_megabytes_passes(api: ApiProcess) -> None:
    block = b"one document of a large corpus\n" * 33_000
    with api.growing_less_than(120):
        headers = {"Content-Type": "text/plain"}
        answer = httpx.post(
            f"{api.url}/v1/corpora", content=repeat(block, 200), headers=headers, timeout=60
        )
    assert answer.status_code == 201, answer.text
    assert answer.json()["documents"] == 200 * 33_000


@pytest.mark.slow
def test_it_ends_in_time_while_requests_hang(tmp_path: Path, valkey: str) -> None:
    with api_process(tmp_path, valkey) as api, connected(api.url) as half:
        half.sendall(START)
        with connected(api.url) as uploading:
            lines = ("Host: localhost", "Content-Type: text/plain", "Content-Length: 1000")
            uploading.sendall(request(*lines, first=POST))
            time.sleep(0.3)
            start = time.monotonic()
            api.process.send_signal(signal.SIGTERM)
            api.process.wait(20)
            assert time.monotonic() - start < 9
