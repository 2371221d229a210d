"""Admit a request by its host, origin, key and room, before anything of its body is read."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import (
    ForbiddenError,
    MisdirectedError,
    ProblemError,
    ServiceUnavailableError,
    problem_of,
)
from app.hosts import AllowedHosts, Host, is_same_origin, is_visit, parse_host
from app.security import KeyRing

API = "/v1"
"""Every path at or under it needs a key, before routes are looked at."""
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
PAGES = frozenset({"/", "/docs", "/redoc"})
PROBLEMS = "/problems/"
"""A link on another site may lead here: such a page reads nothing that it was not asked to."""


class Admission:
    """Refuses with a problem what may not enter, and counts what is inside."""

    def __init__(
        self, app: ASGIApp, *, keys: KeyRing, hosts: AllowedHosts, max_inside: int
    ) -> None:
        self.app = app
        self._keys, self._hosts = keys, hosts
        self._max_inside = max_inside
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = Request(scope)
        self._inside += 1
        try:
            try:
                self._admit(request)
            except ProblemError as error:
                await problem_of(request, error)(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            self._inside -= 1
        return None

    def _admit(self, request: Request) -> None:
        path: str = request.scope["path"]
        host = self._host(request)
        if self._keys.is_open:
            _refuse_other_origins(request, path, host)
        if path == API or path.startswith(f"{API}/"):
            self._keys.check(request.headers.get("authorization"))
        if self._inside > self._max_inside and path not in PROBES:
            raise ServiceUnavailableError(
                "too_many_connections",
                f"The service is at its limit of {self._max_inside} requests at once. Try again.",
                headers={"Retry-After": "5", "Connection": "close"},
            )

    def _host(self, request: Request) -> Host:
        given = request.headers.getlist("host")
        host = parse_host(given[0]) if len(given) == 1 else None
        if host is None:
            raise ProblemError(
                "invalid_host", "A request needs one `Host` header, with a name and maybe a port."
            )
        server = request.scope.get("server")
        if not self._hosts.allows(host.name, server[0] if server else None):
            raise MisdirectedError(
                "host_not_allowed",
                f"The service does not answer to the name {host.name[:100]!r}. Whoever runs it can "
                "allow it with FVT_ALLOWED_HOSTS.",
            )
        return host


def _refuse_other_origins(request: Request, path: str, host: Host) -> None:
    headers = request.headers
    is_page = path in PAGES or path.startswith(PROBLEMS)
    if is_same_origin(headers, host) or (is_page and is_visit(request.method, headers)):
        return
    raise ForbiddenError(
        "cross_origin",
        "A web page of another origin may not call this service, which asks for no key. Call it "
        "from a page of its own or from a program; behind a proxy, pass `Host` on unchanged.",
    )
