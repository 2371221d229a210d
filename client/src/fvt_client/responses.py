"""Read answers of the service: as types of the contract, or as the exceptions that they mean."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from . import errors
from ._errors import IncompatibleServiceError, JobFailure, ProblemError, by_status
from ._version import __version__
from .contract.jobs import JobView

VERSION_HEADER = "X-Fvt-Version"
Model = TypeVar("Model", bound=BaseModel)


def reader(model: type[Model]) -> Callable[[httpx.Response], Model]:
    """Return what reads an answer as a type of the contract, and passes over unknown fields.

    It raises IncompatibleServiceError for an answer of another shape.
    """

    def read(response: httpx.Response) -> Model:
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            what = f"the answer is not as expected: {_first(error)}"
            raise _incompatible(response, what) from error

    return read


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}"


def raise_for_problem(response: httpx.Response) -> None:
    """Raise the exception that a response of 400 and above means."""
    if not response.is_error:
        return
    problem = _json_object(response)
    code = str(problem.get("code", "http_error"))
    if response.status_code == 404 and code in {"http_error", "route_not_found"}:
        raise _incompatible(response, f"there is no {response.request.url.path}")
    raise problem_class(code, response.status_code)(
        str(problem.get("detail", f"HTTP {response.status_code} from {address(response)}.")),
        code=code,
        status=response.status_code,
        request_id=problem.get("request_id") or response.headers.get("x-request-id"),
        errors=[(e["pointer"], e["detail"]) for e in problem.get("errors") or ()],
        retry_after=retry_after(response),
    )


def failure(job: JobView) -> JobFailure:
    """Return the exception for a job that ended without its result."""
    if job.error is None:
        return JobFailure(f"{job.id} was {job.status}.", code=f"job_{job.status}", job=job)
    cause = problem_class(job.error.code, None)
    return _job_class(cause)(job.error.message, code=job.error.code, job=job)


def problem_class(code: str, status: int | None) -> type[ProblemError]:
    """Return the class of a code; of one that a later version added, the class of its status."""
    return errors.BY_CODE.get(code) or by_status(status)


_JOB_CLASSES: dict[type[ProblemError], type[JobFailure]] = {}


def _job_class(cause: type[ProblemError]) -> type[JobFailure]:
    if cause is ProblemError:
        return JobFailure
    if cause not in _JOB_CLASSES:
        bases = (JobFailure, cause)
        _JOB_CLASSES[cause] = type(cause.__name__, bases, {"__module__": cause.__module__})
    return _JOB_CLASSES[cause]


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that `Retry-After` asks to wait, given as a number or as a date."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def address(response: httpx.Response) -> str:
    """Name the URL without its query: a signed one opens the file to whoever reads a log."""
    return str(response.url.copy_with(query=None))


def _incompatible(response: httpx.Response, what: str) -> IncompatibleServiceError:
    url = f"{response.url.scheme}://{response.url.netloc.decode()}"
    theirs = response.headers.get(VERSION_HEADER)
    if theirs is None:
        return IncompatibleServiceError(
            f"{url} does not answer as an FVT Service that this client ({__version__}) knows: "
            f"{what}. Check the URL; if it is right, install the client of the service's version."
        )
    newer = _numbers(theirs) > _numbers(__version__)
    cure = (
        f"Update the client: pip install 'fvt-client=={theirs}'."
        if newer
        else f"Have the service updated to {__version__}, or leave out what needs it."
    )
    if _numbers(theirs) == _numbers(__version__):
        cure = "Both have the same version: tell whoever runs the service."
    return IncompatibleServiceError(
        f"{url} is an FVT Service of version {theirs}, and this client is {__version__}: {what}. "
        f"{cure}"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())


def _json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document; a proxy's error page has none."""
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
