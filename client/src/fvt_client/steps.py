"""Operations of several requests, written once for both clients.

An operation is a generator. It yields what is to be done, one `Effect` at a time, gets the outcome
back, and returns its result. `client.py` does the effects and blocks; `aio.py` awaits them.
"""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx

from . import calls
from ._errors import ProblemError, UnreachableError
from .calls import Call
from .contract.jobs import EventView, JobView
from .responses import failure, raise_for_problem

T = TypeVar("T")
RETRYABLE = frozenset({429, 502, 503, 504})
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
# A service that asks to wait longer is asked again by whoever called.
LONGEST_RETRY_AFTER = 60.0
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Send:
    """Make a request; the outcome is its response, read to the end."""

    call: Call[Any]


class Sink(Protocol):
    """Take the body of a response in chunks."""

    def open(self, response: httpx.Response) -> None:
        """Get ready for the body of a response."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""

    def close(self) -> None:
        """End, however the body ended."""


@dataclass(frozen=True)
class Fetch:
    """Stream a file into a sink; the outcome is the response, whose body the sink has.

    A response of 400 and above is read to its end instead. `etag` is the file's, in quotes.
    """

    path: str
    headers: dict[str, str]
    etag: str
    sink: Sink


@dataclass(frozen=True)
class Sleep:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do what takes a while on the disk; the outcome is what it returns."""

    do: Callable[[], Any]


Effect = Send | Fetch | Sleep | Work
Steps = Generator[Effect, Any, T]


@dataclass(frozen=True)
class Retries:
    """Tell how often a request is made again, and how long to wait before."""

    times: int = 4

    def pause(self, attempt: int, error: Exception) -> float | None:
        """Return the seconds to wait after attempt number `attempt`; None where it was the last."""
        if attempt >= self.times:
            return None
        if isinstance(error, ProblemError):
            if error.status not in RETRYABLE:
                return None
            if error.retry_after is not None:
                return error.retry_after if error.retry_after <= LONGEST_RETRY_AFTER else None
        elif isinstance(error, (httpx.UnsupportedProtocol, httpx.ProxyError)):
            return None
        longest = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
        # Clients that were cut off together should not come back together.
        return random.uniform(longest / 2, longest)  # noqa: S311


def request(call: Call[T], retries: Retries) -> Steps[T]:
    """Make a request, again where that is safe; raises ProblemError and UnreachableError."""
    attempt = 0
    while True:
        try:
            response: httpx.Response = yield Send(call)
            if attempt and call.method == "DELETE" and response.status_code == 404:
                # It was deleted by the attempt before, whose answer was lost.
                return call.read(response)
            raise_for_problem(response)
            return call.read(response)
        except (httpx.RequestError, ProblemError) as error:
            pause = retries.pause(attempt, error) if call.repeatable else None
            if pause is None:
                raise unreachable(error) from error
            yield Sleep(pause)
        attempt += 1


def request_once(call: calls.Call[T]) -> Steps[T]:
    """Make a request and let every error through."""
    response: httpx.Response = yield Send(call)
    raise_for_problem(response)
    return call.read(response)


def unreachable(error: Exception) -> Exception:
    """Return what to raise for an error: a broken connection in words, others as they are."""
    if not isinstance(error, httpx.RequestError):
        return error
    request_: httpx.Request | None = getattr(error, "_request", None)
    url = f"{request_.url.scheme}://{request_.url.netloc.decode()}" if request_ else "the service"
    return UnreachableError(
        f"No answer from {url}: {error or type(error).__name__}. "
        "Is the service up, and is the URL right? `fvt up` starts one here; `fvt doctor` looks "
        "for the fault."
    )


def every_page(
    ask: Callable[[str | None], Call[calls.Page[Any]]], retries: Retries, most: int | None = None
) -> Steps[list[Any]]:
    """Collect the rows of a list, newest first, up to `most`."""
    rows: list[Any] = []
    after = None
    while True:
        page = yield from request(ask(after), retries)
        rows += page.data
        if not page.has_more or not page.data or (most is not None and len(rows) >= most):
            return rows[:most]
        after = page.data[-1].id


def wait(
    job_id: str,
    retries: Retries,
    poll: float,
    timeout: float | None,
    show: Callable[[JobView], None],
) -> Steps[JobView]:
    """Ask every `poll` seconds until the job is over; raises TimeoutError.

    A service that is away for less than a minute is waited for.
    """
    began = answered = time.monotonic()
    while True:
        try:
            job = yield from request(calls.get_job(job_id), retries)
            answered = time.monotonic()
            show(job)
            if job.is_over:
                return job
        except UnreachableError:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise
        except ProblemError as error:
            if error.status not in RETRYABLE or time.monotonic() - answered > PATIENCE_SECONDS:
                raise
        if timeout is not None and time.monotonic() - began + poll > timeout:
            raise TimeoutError(f"{job_id} is not over after {timeout:g} s; it goes on.")
        yield Sleep(poll)


def succeeded(job: JobView) -> JobView:
    """Return a job that succeeded; raises JobFailure."""
    if job.status != "succeeded":
        raise failure(job)
    return job


class EventStream:
    """Read server-sent events of a job, and say where to go on after a broken connection."""

    def __init__(self, job_id: str, after: str | None = None) -> None:
        self.path = f"/v1/jobs/{job_id}/events"
        self.ended = False
        self.failures = 0
        self._last = after
        self._data: list[str] = []

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the next request."""
        last = {"Last-Event-ID": self._last} if self._last else {}
        return {"Accept": "text/event-stream", **last}

    def feed(self, line: str) -> EventView | None:
        """Take a line without its end; returns the event that it completes."""
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        if line or not self._data:
            return None
        event = EventView.model_validate_json("\n".join(self._data))
        self._data.clear()
        self._last = event.id
        self.failures = 0
        self.ended = event.type in {"job.succeeded", "job.failed", "job.cancelled"}
        return event

    def opened(self, response: httpx.Response) -> None:
        """Look at the beginning of an answer; raises ProblemError."""
        raise_for_problem(response)
        self._data.clear()
        self.ended = response.status_code == 204

    def broken(self, error: Exception | None, retries: Retries) -> float:
        """Return the seconds to wait before the next request, or raise `error`.

        `error` is None where the service closed the stream in mid-job, as it does when it stops.
        """
        fault = error or httpx.RemoteProtocolError("the stream ended in the middle of the job")
        pause = retries.pause(self.failures, fault)
        if pause is None:
            raise unreachable(fault) if error else UnreachableError(str(fault))
        self.failures += 1
        return pause
