"""Around every request: its id, its body, its log line, its metrics and its headers."""

import logging
import re
import secrets
import time
from importlib.metadata import version

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.bodies import Body
from app.disk import is_full
from app.errors import problem_response
from app.health.metrics import HttpMetrics
from app.security import SECURITY_HEADERS

REQUEST_ID = "X-Request-Id"
# A client of another version can then say so.
VERSION_HEADER, VERSION = "X-Fvt-Version", version("fvt-service")
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = logging.getLogger(__name__)


class RequestContext:
    """Gives each request an id, a body with limits, a log line, and a 500 where it breaks.

    `body_seconds` is how long a body may stop.
    """

    def __init__(self, app: ASGIApp, metrics: HttpMetrics, body_seconds: float) -> None:
        self.app = app
        self.metrics = metrics
        self.body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        body = Body(receive, send, headers, self.body_seconds)
        exchange = _Exchange(scope, body.send, _request_id(headers), self.metrics)
        scope.setdefault("state", {}).update(request_id=exchange.request_id, body=body)
        try:
            await self.app(scope, body.receive, exchange.send)
        except Exception as error:
            log.exception("%s broke request_id=%s", exchange.line, exchange.request_id)
            if exchange.status:
                raise
            answer = _full(scope) if is_full(error) else _broken(scope)
            await answer(scope, receive, exchange.send)
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
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self.request_id
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers[VERSION_HEADER] = VERSION
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


def _full(scope: Scope) -> ASGIApp:
    detail = "A disk of this service is full. Delete what is not needed, or have it made larger."
    return problem_response(Request(scope), 507, "insufficient_storage", detail)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if SANE_ID.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """Return an id for a request that came with none."""
    return f"req_{secrets.token_hex(12)}"
