"""A TCP proxy that cuts connections off in the middle."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

import httpx

CHUNK = 1 << 14


@dataclass
class Cut:
    """End a connection after so many bytes, counted from its start, in one direction."""

    way: Literal["up", "down"]
    after: int


@dataclass
class Cutter:
    """A running proxy; `cuts` are taken one a connection, then nothing is cut any more."""

    url: str
    cuts: list[Cut]
    bytes: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    connections: int = 0


@contextmanager
def cutting(target: httpx.URL, *cuts: Cut) -> Iterator[Cutter]:
    """Stand before the server at `target` while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cutter = Cutter("http://{}:{}".format(*listener.getsockname()), list(cuts))
        stopping = threading.Event()
        accepting = threading.Thread(
            target=_accept, args=(listener, (target.host, target.port), cutter, stopping)
        )
        accepting.start()
        try:
            yield cutter
        finally:
            stopping.set()
            with suppress(OSError):
                socket.create_connection(listener.getsockname()).close()
            accepting.join()


def _accept(
    listener: socket.socket,
    target: tuple[str, int | None],
    cutter: Cutter,
    stopping: threading.Event,
) -> None:
    while True:
        client, _ = listener.accept()
        if stopping.is_set():
            client.close()
            return
        cutter.connections += 1
        cut = cutter.cuts.pop(0) if cutter.cuts else None
        server = socket.create_connection((target[0], target[1] or 80))
        for way, source, sink in (("up", client, server), ("down", server, client)):
            limit = cut.after if cut and cut.way == way else None
            pump = threading.Thread(
                target=_pump, args=(source, sink, cutter, way, limit), daemon=True
            )
            pump.start()


def _pump(
    source: socket.socket, sink: socket.socket, cutter: Cutter, way: str, limit: int | None
) -> None:
    passed = 0
    with suppress(OSError):
        while data := source.recv(CHUNK):
            if limit is not None and passed + len(data) > limit:
                sink.sendall(data[: limit - passed])
                break
            sink.sendall(data)
            passed += len(data)
            cutter.bytes[way] += len(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
