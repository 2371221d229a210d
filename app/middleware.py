"""Around every request: its id, the limit of its body, its log line and its metrics."""

import logging
import re
import secrets
import time

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import problem_response
from app.health.metrics import HttpMetrics

REQUEST_ID = "X-Request-Id"
MAX_BODY_BYTES = 1 << 20
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = logging.getLogger(__name__)


class BodyLimit:
    """The largest body that a request may have; an upload route lifts it before it reads."""

    def __init__(self, receive: Receive, content_length: int) -> None:
        self.max_bytes = MAX_BODY_BYTES
        self._receive = receive
        self._content_length = content_length
        self._received = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if max(self._content_length, self._received) > self.max_bytes:
            raise HTTPException(
                413, f"The body is larger than the {self.max_bytes} bytes that this call takes."
            )
        return message


def lift_body_limit(request: Request, max_bytes: int) -> None:
    """Let the body of this request be larger than a JSON document's."""
    limit: BodyLimit = request.state.body_limit
    limit.max_bytes = max_bytes


class RequestContext:
    """Gives each request an id, a body limit, a log line, and a 500 problem where it breaks."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, send, _request_id(headers), self.metrics)
        limit = BodyLimit(receive, _content_length(headers))
        scope.setdefault("state", {}).update(request_id=exchange.request_id, body_limit=limit)
        try:
            await self.app(scope, limit.receive, exchange.send)
        except Exception:
            log.exception("%s broke request_id=%s", exchange.line, exchange.request_id)
            if exchange.status:
                raise
            await _broken(scope)(scope, receive, exchange.send)
        finally:
            exchange.finish()
        return None


class _Exchange:
    """One request and its answer, without what runs in the background afterwards."""

    def __init__(self, scope: Scope, send: Send, request_id: str, metrics: HttpMetrics) -> None:
        self.request_id = request_id
        self.line = f"{scope['method']} {scope['path']!r}"
        self.status = 0
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._start = time.perf_counter()
        self._finished = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self.request_id
        elif not message.get("more_body"):
            self.finish()
        await self._send(message)

    def finish(self) -> None:
        """Log and count the request, once."""
        if self._finished:
            return
        self._finished = True
        seconds = time.perf_counter() - self._start
        self._metrics.observe(self._scope, self.status, seconds)
        log.info("%s %d %.3fs request_id=%s", self.line, self.status, seconds, self.request_id)


def _broken(scope: Scope) -> ASGIApp:
    detail = "Something broke on our side; the log has it under this request id. Try again."
    return problem_response(Request(scope), 500, "internal_error", detail)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if SANE_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"


def _content_length(headers: Headers) -> int:
    given = headers.get("content-length", "")
    return int(given) if given.isascii() and given.isdecimal() else 0
