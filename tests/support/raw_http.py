"""HTTP as bytes on a socket, for what no HTTP library would send."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Answer:
    """What came back until the connection was closed, taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> Any:
        return json.loads(self.body)


@contextmanager
def connected(url: httpx.URL | str, timeout: float = 30) -> Iterator[socket.socket]:
    """A connection to the server of `url`."""
    place = httpx.URL(url)
    with socket.create_connection((place.host, place.port or 80), timeout) as client:
        yield client


def read_answer(client: socket.socket) -> Answer | None:
    """Read all that comes until the end; None where nothing does."""
    received = b""
    # The server may close while bytes of ours are on their way, which resets the connection.
    with suppress(ConnectionResetError):
        while piece := client.recv(1 << 16):
            received += piece
    if not received:
        return None
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), {k.lower(): v for k, v in pairs}, body)


def exchange(url: httpx.URL | str, sent: bytes) -> Answer | None:
    """Send these bytes alone, and read what comes until the end."""
    with connected(url) as client:
        with suppress(ConnectionError):
            client.sendall(sent)
        return read_answer(client)


def request(*lines: str, first: str = "GET /v1/jobs HTTP/1.1", body: bytes = b"") -> bytes:
    """A request with just these header lines, after which the connection ends."""
    head = "\r\n".join([first, *lines, "Connection: close", "", ""])
    return head.encode("latin-1") + body
