"""Errors as RFC 9457 problem details: one base class, from which responses are derived."""

import logging
from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from obstore.exceptions import BaseError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.blobs import is_store_away
from app.contract.errors import UserFault, codes_said
from app.disk import is_full
from app.waits import DatabaseAwayError, is_trouble

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
"""Most faults of a request that are told at once: a stranger can make as many as bytes."""
DATABASE_RETRY_AFTER = STORAGE_RETRY_AFTER = "5"
HTTP_PROBLEMS = {
    400: ("malformed_request", None),
    404: ("route_not_found", "There is nothing at this path; `/docs` lists the calls."),
    405: ("method_not_allowed", "This path does not take this method; `/docs` lists the calls."),
    408: ("request_timeout", None),
    413: ("request_too_large", None),
    431: ("request_head_too_large", None),
}

log = logging.getLogger(__name__)


class FieldError(BaseModel):
    """One thing that is wrong with one field of the request."""

    pointer: str = Field(description="Where, as a JSON pointer", examples=["/recipe/vocab_size"])
    detail: str


class Problem(BaseModel):
    """The body of every response of 400 and above."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/problems/corpus_not_found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(description=codes_said(of_jobs=False), examples=["corpus_not_found"])
    detail: str = Field(description="What is wrong and what to do, for people")
    errors: list[FieldError] | None = None
    request_id: str | None = None


class ProblemError(Exception):
    """Raised anywhere under a route; answered as a problem document."""

    status: ClassVar[int] = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


class UnauthorizedError(ProblemError):
    status = HTTPStatus.UNAUTHORIZED


class ForbiddenError(ProblemError):
    status = HTTPStatus.FORBIDDEN


class NotFoundError(ProblemError):
    status = HTTPStatus.NOT_FOUND


class ConflictError(ProblemError):
    status = HTTPStatus.CONFLICT


class TooLargeError(ProblemError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class MisdirectedError(ProblemError):
    status = HTTPStatus.MISDIRECTED_REQUEST


class UnprocessableError(ProblemError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class RangeNotSatisfiableError(ProblemError):
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


class GoneError(ProblemError):
    status = HTTPStatus.GONE


class ServiceUnavailableError(ProblemError):
    status = HTTPStatus.SERVICE_UNAVAILABLE


class InsufficientStorageError(ProblemError):
    status = HTTPStatus.INSUFFICIENT_STORAGE


def problem_response(
    request: Request,
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """The problem document of this request."""
    request_id = getattr(request.state, "request_id", None)
    content = problem_document(status, code, detail, request_id=request_id, **members)
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def problem_of(request: Request, error: ProblemError) -> JSONResponse:
    """Answer a request with the problem that was raised."""
    return problem_response(
        request, error.status, error.code, error.detail, error.headers, **error.members
    )


def problem_document(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    """Return a problem document as JSON types."""
    problem = Problem(
        type=f"/problems/{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        **members,
    )
    return problem.model_dump(mode="json", exclude_none=True)


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    install_outage_handlers(app)

    @app.exception_handler(ProblemError)
    async def on_problem(request: Request, error: ProblemError) -> JSONResponse:
        return problem_of(request, error)

    @app.exception_handler(UserFault)
    async def on_user_fault(request: Request, error: UserFault) -> JSONResponse:
        return problem_response(request, 422, error.code, error.message)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = field_errors(error.errors())
        detail = "; ".join(f"{e.pointer}: {e.detail}" for e in errors)
        return problem_response(request, 422, "invalid_request", detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        status = error.status_code
        code, detail = HTTP_PROBLEMS.get(status, (HTTPStatus(status).name.lower(), error.detail))
        headers = dict(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            # The framework names the methods of one route only, where several share the path.
            headers["Allow"] = ", ".join(allowed_methods(request))
        return problem_response(request, status, code, detail or error.detail, headers)


def install_outage_handlers(app: FastAPI) -> None:
    """Answer with a 503 problem where the database or the object store is away."""

    @app.exception_handler(DatabaseAwayError)
    @app.exception_handler(PoolTimeoutError)
    @app.exception_handler(DBAPIError)
    async def on_database(request: Request, error: Exception) -> JSONResponse:
        if is_full(error) or not is_trouble(error):
            raise error
        log.warning("The database: %s", str(error).partition("\n")[0])
        detail = "The database cannot serve this call now. Try again as `Retry-After` says."
        headers = {"Retry-After": DATABASE_RETRY_AFTER}
        return problem_response(request, 503, "database_unavailable", detail, headers)

    @app.exception_handler(BaseError)
    @app.exception_handler(OSError)
    async def on_storage(request: Request, error: Exception) -> JSONResponse:
        if not is_store_away(error):
            raise error
        log.warning("The object store: %s", str(error).partition("\n")[0])
        detail = "The object store does not answer now. Try again as `Retry-After` says."
        headers = {"Retry-After": STORAGE_RETRY_AFTER}
        return problem_response(request, 503, "storage_unavailable", detail, headers)


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that the path of a request takes, in alphabetical order."""
    return [
        method
        for method in sorted(HTTPMethod)
        if any(
            route.matches({**request.scope, "method": str(method)})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]


def field_errors(errors: Any) -> list[FieldError]:
    """Pydantic's first errors as pointers into the request and what is wrong there."""
    return [
        FieldError(
            pointer="/" + "/".join(str(part) for part in error["loc"] if part != "body"),
            detail=error["msg"].removeprefix("Value error, "),
        )
        for error in errors[:MAX_ERRORS]
    ]
