"""Describe each call of the HTTP API once, for the synchronous and the asynchronous client."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel

from .contract.base_models import BaseModelView
from .contract.corpora import CorpusView
from .contract.estimate import Estimate
from .contract.jobs import ArtifactFileView, EventView, JobView
from .contract.report import Report
from .responses import reader

T = TypeVar("T")
PAGE = 100


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and what reads its answer.

    `repeatable` where a second request changes nothing that the first did not. `body` makes what
    httpx takes as keyword arguments, anew for each attempt.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Mapping[str, Any]] = dict
    repeatable: bool = True


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    data: list[T]
    has_more: bool = False


def get_job(job_id: str) -> Call[JobView]:
    return Call("GET", f"/v1/jobs/{job_id}", reader(JobView))


def cancel_job(job_id: str) -> Call[JobView]:
    return Call("POST", f"/v1/jobs/{job_id}/cancel", reader(JobView))


def delete_job(job_id: str) -> Call[None]:
    return Call("DELETE", f"/v1/jobs/{job_id}", _nothing)


def delete_corpus(corpus_id: str) -> Call[None]:
    return Call("DELETE", f"/v1/corpora/{corpus_id}", _nothing)


def get_corpus(corpus_id: str) -> Call[CorpusView]:
    return Call("GET", f"/v1/corpora/{corpus_id}", reader(CorpusView))


def get_report(job_id: str) -> Call[Report]:
    return Call("GET", f"/v1/jobs/{job_id}/report", reader(Report), headers=_accept("json"))


def get_report_page(job_id: str) -> Call[str]:
    """Get `report.html`."""
    return Call("GET", f"/v1/jobs/{job_id}/report", _text, headers={"Accept": "text/html"})


def list_files(job_id: str) -> Call[Page[ArtifactFileView]]:
    return Call("GET", f"/v1/jobs/{job_id}/artifacts", reader(Page[ArtifactFileView]))


def list_models() -> Call[Page[BaseModelView]]:
    return Call("GET", "/v1/base-models", reader(Page[BaseModelView]))


def list_jobs(status: str | None, after: str | None) -> Call[Page[JobView]]:
    params = _given(limit=str(PAGE), status=status, after=after)
    return Call("GET", "/v1/jobs", reader(Page[JobView]), params)


def list_corpora(after: str | None) -> Call[Page[CorpusView]]:
    return Call(
        "GET", "/v1/corpora", reader(Page[CorpusView]), _given(limit=str(PAGE), after=after)
    )


def list_events(job_id: str, first: str | None, after: str | None) -> Call[Page[EventView]]:
    """List events, oldest first, behind `after`, or else behind `first`."""
    params = _given(limit=str(PAGE), after=after or first)
    return Call(
        "GET", f"/v1/jobs/{job_id}/events", reader(Page[EventView]), params, _accept("json")
    )


def submit_job(fields: Mapping[str, Any], key: str) -> Call[tuple[JobView, bool]]:
    """Submit a job; returns it, and whether a submission with the same key had made it before."""
    return Call(
        "POST",
        "/v1/jobs",
        lambda response: (reader(JobView)(response), "idempotent-replayed" in response.headers),
        headers={"Idempotency-Key": key},
        body=lambda: {"json": dict(fields)},
    )


def estimate(fields: Mapping[str, Any]) -> Call[Estimate]:
    """Estimate a job on a corpus that was uploaded before."""
    return Call("POST", "/v1/estimate", reader(Estimate), body=lambda: {"json": dict(fields)})


def estimate_file(fields: Mapping[str, str], name: str, beginning: bytes) -> Call[Estimate]:
    """Estimate a job on the first bytes of a corpus."""
    return Call(
        "POST",
        "/v1/estimate",
        reader(Estimate),
        body=lambda: {"data": dict(fields), "files": {"file": (name, beginning)}},
    )


def create_corpus(
    fields: Mapping[str, str], body: Callable[[], Sequence[Any]], key: str
) -> Call[CorpusView]:
    """Upload a corpus; `body` opens its name and file, and with the same key it is made once."""
    return Call(
        "POST",
        "/v1/corpora",
        reader(CorpusView),
        # Checking the last block of a large corpus takes as long as it takes.
        body=lambda: {
            "data": dict(fields),
            "files": {"file": tuple(body())},
            "timeout": httpx.Timeout(60, connect=5, read=None),
        },
        headers={"Idempotency-Key": key},
        repeatable=False,
    )


def _accept(form: str) -> dict[str, str]:
    return {"Accept": f"application/{form}"}


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _nothing(_: httpx.Response) -> None:
    return None


def _text(response: httpx.Response) -> str:
    return response.text
