"""The server, `python -m app.server`: uvicorn, with limits on what comes before a whole request.

uvicorn waits for a request's head as long as its client likes, and keeps every connection that is
opened. Of its parsers only h11 holds no more than a given size of a head, of trailers or of the
requests that a client sends ahead.
"""

import argparse
import asyncio
import json
import logging
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from app.bodies import LINGER_BYTES, LINGER_SECONDS
from app.errors import HTTP_PROBLEMS, MEDIA_TYPE, problem_document
from app.main import create_app
from app.middleware import REQUEST_ID, new_request_id
from app.security import SECURITY_HEADERS
from app.settings import Settings, get_settings

MAX_HEAD_BYTES = 32 << 10
VERSIONS = {b"1.0", b"1.1"}
SPARE_CONNECTIONS = 100
"""Beyond FVT_MAX_CONNECTIONS: for probes, and for those who are told that there is no room."""
OTHER_FILES = 400
# An open stream of events would hold up the end for as long as its job runs.
SHUTDOWN_SECONDS = 5
SWITCH_SECONDS = 0.0005
"""A thread that waited for the database gets the interpreter back after this, not after 5 ms."""

log = logging.getLogger(__name__)


class ServerConfig(uvicorn.Config):
    """Configure uvicorn for `app`, with the limits of `settings`; `options` are uvicorn's own."""

    def __init__(self, app: ASGIApp, settings: Settings, **options: Any) -> None:
        super().__init__(
            app,
            http=GuardedProtocol,
            ws="none",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            **options,
        )
        self.request_seconds = settings.request_seconds
        self.max_connections = settings.max_connections + SPARE_CONNECTIONS
        self.without_request: dict[GuardedProtocol, None] = {}
        """The connections that no request is being answered on, those that wait longest first."""


class GuardedConnection(h11.Connection):
    """Parses as h11 does, and refuses two kinds of heads that h11 takes: too large, not HTTP/1."""

    status_of_error = 400

    def next_event(self) -> Any:
        """Give the next event, or raise `h11.RemoteProtocolError` and keep its status."""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.status_of_error = error.error_status_hint
            raise
        if isinstance(event, h11.Request):
            self._check(event)
        return event

    def _check(self, request: h11.Request) -> None:
        if _size(request) > MAX_HEAD_BYTES:
            self.status_of_error = 431
            raise h11.RemoteProtocolError("Head too large", error_status_hint=431)
        if request.http_version not in VERSIONS:
            self.status_of_error = 400
            raise h11.RemoteProtocolError("Unknown version", error_status_hint=400)


def _size(request: h11.Request) -> int:
    lines = sum(len(name) + len(value) + 4 for name, value in request.headers)
    return len(request.method) + len(request.target) + lines


DETAILS = {
    400: "This is not HTTP/1.1 as it is written.",
    408: "The request line and the headers did not come in time.",
    431: f"The request line and the headers are larger than {MAX_HEAD_BYTES} bytes together.",
}


class GuardedProtocol(H11Protocol):
    """One connection, closed where its next request does not come whole, in time and in size."""

    config: ServerConfig
    conn: GuardedConnection

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = GuardedConnection(h11.SERVER, MAX_HEAD_BYTES)
        self._timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection in, and where there are too many close the one that waits longest."""
        super().connection_made(transport)
        waiting = self.config.without_request
        waiting[self] = None
        if len(self.connections) > self.config.max_connections:
            next(iter(waiting)).drop()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, or throw it away after a refusal."""
        if self._is_refused:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.flow.pause_reading()
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer what is no request; uvicorn calls it for every error of its parser."""
        self._refuse(self.conn.status_of_error)

    def shutdown(self) -> None:
        """Close now, or after the answer that is being sent."""
        if self._is_refused:
            self.drop()
        else:
            super().shutdown()

    def drop(self) -> None:
        """Close at once, without an answer."""
        self._stop_watching()
        # Lost only with the loop's next turn, by when many more may have come.
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        """Time the next head from when it could come until it is whole."""
        if self._is_refused or self.transport.is_closing():
            return
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._timer is None:
            self.config.without_request[self] = None
            self._timer = self.loop.call_later(self.config.request_seconds, self._on_late)

    def _stop_watching(self) -> None:
        self.config.without_request.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_late(self) -> None:
        has_begun = bool(self.conn.trailing_data[0])
        if has_begun:
            self._refuse(408)
        else:
            self.drop()

    def _refuse(self, status: int) -> None:
        """Answer with a problem, and close once the client could read it."""
        self._is_refused = True
        self._unset_keepalive_if_required()
        self._stop_watching()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.drop()
                return
        request_id = new_request_id()
        self.transport.write(_refusal(status if status in DETAILS else 400, request_id))
        # The client sees the end, and what it still sends is read and thrown away.
        self.transport.write_eof()
        self.config.without_request[self] = None
        self._timer = self.loop.call_later(LINGER_SECONDS, self.drop)
        log.info("refused with %d what %s sent request_id=%s", status, self.client, request_id)


def _refusal(status: int, request_id: str) -> bytes:
    code = HTTP_PROBLEMS[status][0]
    problem = problem_document(status, code, DETAILS[status], request_id=request_id)
    body = json.dumps(problem).encode()
    headers = {
        **SECURITY_HEADERS,
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
        REQUEST_ID: request_id,
    }
    lines = [f"HTTP/1.1 {status} {problem['title']}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def allow_open_files(wanted: int) -> None:
    """Raise this process's own limit of open files, of which each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    allowed = wanted if hard == unlimited else min(wanted, hard)
    if soft != unlimited and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("only %d open files are allowed, %d may be needed", allowed, wanted)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal ends it; a setting that does not do ends it with a sentence."""
    parser = argparse.ArgumentParser(prog="python -m app.server", description="The API of FVT.")
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on.")
    parser.add_argument("--port", default=8000, type=int, help="Port to listen on.")
    given = parser.parse_args(arguments)
    try:
        settings = get_settings()
        app = create_app(settings)
    except ValueError as error:
        sys.exit(str(error))
    config = ServerConfig(app, settings, host=given.host, port=given.port)
    allow_open_files(config.max_connections + OTHER_FILES)
    sys.setswitchinterval(SWITCH_SECONDS)
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
