"""A TCP relay in front of a server: slow, silent, or broken off, as a network is."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from enum import Enum

CHUNK = 16 << 10


class State(Enum):
    """The ways in which a network serves."""

    WHOLE = "whole"
    SILENT = "silent"
    """Connections stay, or come about, and nothing passes."""
    BROKEN = "broken"
    """Connections are reset, and so is each new one."""


class Relay:
    """Passes on what comes to `port`; `state`, `bytes_per_second` and `break_after` may change.

    `break_after` resets the connection that sends that many more bytes to the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.state = State.WHOLE
        self.bytes_per_second: float | None = None
        self.break_after: int | None = None
        self._target = host, port
        self._loop = asyncio.new_event_loop()
        self._writers = set[asyncio.StreamWriter]()

    def cut(self) -> None:
        """Reset all connections, and each that is made until `state` is whole again."""
        self.state = State.BROKEN
        asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result(10)

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError):
            if self.state is State.BROKEN:
                writer.transport.abort()
                return
            there, server = await asyncio.open_connection(*self._target)
            self._writers.add(server)
            await asyncio.gather(
                self._pass(reader, server, to_server=True),
                self._pass(there, writer, to_server=False),
            )
        self._writers.discard(writer)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, to_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                while self.state is State.SILENT:
                    await asyncio.sleep(0.05)
                if self.bytes_per_second:
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                if to_server and self.break_after is not None:
                    self.break_after -= len(data)
                    if self.break_after < 0:
                        self.break_after = None
                        await self._reset_all()
                        return
                sink.write(data)
                await sink.drain()
        with contextlib.suppress(OSError):
            sink.close()


@contextlib.contextmanager
def relay_to(host: str, port: int) -> Iterator[Relay]:
    """A relay to a server until the block ends."""
    relay = Relay(host, port)
    loop = relay._loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(relay.serve(), loop).result(10)
    try:
        yield relay
    finally:
        loop.call_soon_threadsafe(server.close)
        relay.cut()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
