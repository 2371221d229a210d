"""The exceptions that `fvt_client.errors` names, without those that are made from error codes."""

from collections.abc import Sequence
from typing import Self

from .contract.jobs import JobView


class FvtError(Exception):
    """The base of all exceptions of this package; the text says what is wrong and what to do."""


class UnreachableError(FvtError):
    """No service answers at the URL, or the connection broke more often than it was tried."""


class IncompatibleServiceError(FvtError):
    """The service at the URL is none, or of a version that this client does not fit."""


class UploadError(FvtError):
    """These files cannot be sent as one corpus, or arrived as other bytes."""


class DownloadError(FvtError):
    """The result did not arrive whole, or cannot be put where it was to go."""


class PushError(FvtError):
    """The result cannot be handed on to this target, or did not arrive there as it is here."""


class AmbiguousIdError(FvtError):
    """The beginning of an id is that of no job, or of several."""


class ProblemError(FvtError):
    """A problem that the service named by a stable `code`.

    `status` is None where no request was refused, but a job failed: then `job` is that job.
    `errors` are pairs of a JSON pointer into the request and what is wrong there. `retry_after` is
    the number of seconds after which the service asked to be asked again.
    """

    def __init__(  # noqa: PLR0913
        self,
        detail: str,
        *,
        code: str,
        status: int | None = None,
        request_id: str | None = None,
        errors: Sequence[tuple[str, str]] = (),
        retry_after: float | None = None,
        job: JobView | None = None,
    ) -> None:
        where = f" (request {request_id})" if request_id else ""
        where = f" ({job.id}, attempt {job.attempt})" if job else where
        super().__init__(f"{detail} [{code}]{where}")
        self.detail = detail
        self.code = code
        self.status = status
        self.request_id = request_id
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.job = job

    def about(self, what: str) -> Self:
        """Return the same problem, whose text begins with what it is about."""
        return type(self)(
            f"{what}: {self.detail}",
            code=self.code,
            status=self.status,
            request_id=self.request_id,
            errors=self.errors,
            retry_after=self.retry_after,
            job=self.job,
        )


class JobFailure(ProblemError):
    """A job ended without its result; also an instance of the class of its error's code."""


class BadRequestError(ProblemError):
    """400: the request is malformed."""


class AuthenticationError(ProblemError):
    """401: the key is missing or not accepted."""


class NotFoundError(ProblemError):
    """404: there is nothing of this id."""


class ConflictError(ProblemError):
    """409: not in the state that the job or the corpus is in."""


class TooLargeError(ProblemError):
    """413: more bytes than this installation takes."""


class UnprocessableError(ProblemError):
    """422: what was sent cannot work."""


class RateLimitError(ProblemError):
    """429: too many requests; see `retry_after`."""


class ServerError(ProblemError):
    """500 and above: a fault of the service, or of something in front of it."""


BY_STATUS: dict[int, type[ProblemError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    422: UnprocessableError,
    429: RateLimitError,
}
"""The classes of statuses below 500; others are `ProblemError`."""


def by_status(status: int | None) -> type[ProblemError]:
    """Return the class for a status of HTTP."""
    if status is None:
        return ProblemError
    return BY_STATUS.get(status, ServerError if status >= 500 else ProblemError)
