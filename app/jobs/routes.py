"""Jobs over HTTP."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Field

from app.contract.jobs import EventView, JobView
from app.contract.states import ACTIVE, Status
from app.dependencies import BlobsDep, DatabaseDep
from app.errors import ProblemError
from app.jobs import service
from app.jobs.event_hub import NOTHING_FOLLOWS, EventHub
from app.jobs.events import read_events, sequence_of
from app.jobs.schemas import JobForm, JobQuery, JobRequest, event_view, job_view
from app.jobs.submission import IntakeDep
from app.openapi import IdempotencyKey, links, problems
from app.pagination import Page, PageDep
from app.threads import run_writing


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema, in one piece."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if name := node.get("$ref", "").removeprefix("#/$defs/"):
            return inline(definitions[name])
        # A discriminator's mapping names the definitions that are gone now.
        return {key: inline(value) for key, value in node.items() if key != "discriminator"}

    return {name: inline(value) for name, value in schema.items()}


# The schemas are set by `describe_submission`, when the names of extensions are known.
SUBMISSION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "examples": {
                    "default": {
                        "summary": "A quarter of the vocabulary, everything else as it comes",
                        "value": {
                            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                            "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
                            "recipe": {"vocab_size": 0.25},
                        },
                    },
                    "task": {
                        "summary": "Measured on labelled texts, which `records` corpora hold",
                        "value": {
                            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                            "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
                            "recipe": {
                                "vocab_size": 0.25,
                                "evaluation": {
                                    "task": {
                                        "type": "sequence_classification",
                                        "train": "corpus_01kaf41c3w8m2n6p9r4t7v0x5y",
                                        "test": "corpus_01kaf42g7z1b5d8f2h6k9m3q0s",
                                    }
                                },
                                "gate": {"min_quality": 0.98, "metric": "macro_f1"},
                            },
                        },
                    },
                    "sweep": {
                        "summary": "Three sizes; the smallest that keeps 90 % of the quality",
                        "value": {
                            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                            "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
                            "recipe": {
                                "vocab_size": [0.5, 0.25, 0.1],
                                "gate": {"min_quality": 0.9},
                            },
                        },
                    },
                    "target": {
                        "summary": "The best model whose int8 file takes 5 MB at most",
                        "value": {
                            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
                            "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
                            "recipe": {"target": {"max_bytes": 5_000_000, "min_quality": 0.95}},
                        },
                    },
                },
            },
            "multipart/form-data": {},
        },
    }
}


def describe_submission() -> None:
    """Document what a submission may hold, with the names that there are now."""
    content = SUBMISSION["requestBody"]["content"]
    content["application/json"]["schema"] = inlined(JobRequest)
    content["multipart/form-data"]["schema"] = inlined(JobForm)


RETRY_AFTER: dict[str, Any] = {
    "description": "Seconds until it is worth to look again; only while the job is active",
    "schema": {"type": "integer"},
}
LOOK_AGAIN: dict[str, Any] = {"headers": {"Retry-After": RETRY_AFTER}}
SUBMITTED: dict[int | str, dict[str, Any]] = {
    202: {
        "headers": {
            "Location": {"description": "Path of the job", "schema": {"type": "string"}},
            "Retry-After": RETRY_AFTER,
            "Idempotent-Replayed": {
                "description": "`true` where this submission had made the job before",
                "schema": {"type": "string"},
            },
        },
        "links": links(
            "job_id",
            (
                *("get_job", "cancel_job", "delete_job", "list_job_events"),
                *("list_artifacts", "get_report", "download_result", "describe_result"),
            ),
        ),
    }
}
STREAM = """event: stage.started
data: {"object":"event","id":"event_417","type":"stage.started","data":{"stage":"tokenizer"}, …}
id: event_417

"""
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": STREAM}}},
    204: {"description": "Stream only: the job has ended and nothing follows this event"},
}


class NotAcceptableError(ProblemError):
    status = HTTPStatus.NOT_ACCEPTABLE


def choose_media_type(accept: str | None, offers: Sequence[str]) -> str:
    """The offer that an `Accept` header ranks highest; among equals, and without one, the first."""
    ranges = _media_ranges(accept) if accept and accept.strip() else {"*/*": 1.0}
    best = max(offers, key=lambda offer: _quality(ranges, offer))
    if _quality(ranges, best) > 0:
        return best
    raise NotAcceptableError(
        "not_acceptable", f"This is available as {' or '.join(offers)}; ask for one in `Accept`."
    )


def _media_ranges(accept: str) -> dict[str, float]:
    """Each media range in the header, with its quality."""
    ranges = {}
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        qualities = [value[2:] for value in parameters if value.startswith("q=")]
        ranges[media_range] = _number(qualities[0]) if qualities else 1.0
    return ranges


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(ranges: dict[str, float], offer: str) -> float:
    """The quality of the most specific range that holds the offer (RFC 9110, 12.5.1)."""
    for media_range in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        if media_range in ranges:
            return ranges[media_range]
    return 0.0


EVENT_STREAM = "text/event-stream"
LOOK_AGAIN_SECONDS = "2"

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class EventHeaders(BaseModel):
    """Headers that say in which form events are wanted."""

    accept: str | None = Field(None, description=f"`application/json` or `{EVENT_STREAM}`")
    last_event_id: str | None = Field(
        None, description="Stream only: go on after this event", examples=["event_417"]
    )


@router.post(
    "",
    operation_id="submit_job",
    summary="Submit a job",
    status_code=202,
    response_description="The job, queued",
    responses={**problems(400, 404, 413, 415, 422, 503, 507), **SUBMITTED},
    openapi_extra=SUBMISSION,
)
async def submit_job(
    request: Request,
    response: Response,
    intake: IntakeDep,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Compress a base model for a corpus: one uploaded before, or one sent along in a form."""
    job, replayed = await intake.take(request, idempotency_key)
    response.headers["location"] = f"/v1/jobs/{job.id}"
    response.headers["retry-after"] = LOOK_AGAIN_SECONDS
    if replayed:
        response.headers["idempotent-replayed"] = "true"
    else:
        # Someone else sends the message: a broker that is away must not delay the answer.
        submitted: asyncio.Event = request.app.state.submitted
        submitted.set()
    return job_view(job)


@router.get(
    "",
    operation_id="list_jobs",
    summary="List the jobs, newest first",
    responses=problems(400, 422),
)
def list_jobs(db: DatabaseDep, query: Annotated[JobQuery, Query()]) -> Page[JobView]:
    """Every job, or those in one state."""
    jobs, more = service.list_jobs(db, query)
    places = service.queue_positions(db, jobs)
    return Page(data=[job_view(job, places.get(job.id)) for job in jobs], has_more=more)


@router.get(
    "/{job_id}",
    operation_id="get_job",
    summary="Get a job",
    responses={**problems(404), 200: LOOK_AGAIN},
)
def get_job(job_id: str, response: Response, db: DatabaseDep) -> JobView:
    """The job as it is now."""
    job = service.read_job(db, job_id)
    if job.status in ACTIVE:
        response.headers["retry-after"] = LOOK_AGAIN_SECONDS
    return job_view(job, service.queue_positions(db, [job]).get(job.id))


@router.post(
    "/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    response_description="The job, cancelled",
    responses={
        **problems(404, 409),
        202: {"model": JobView, "description": "The job, whose worker has been asked to stop"},
    },
)
async def cancel_job(job_id: str, response: Response, db: DatabaseDep) -> JobView:
    """End a queued job at once; a running one ends when its worker next looks, within seconds.

    Cancelling again changes nothing.
    """
    job = await run_writing(db, service.cancel, db, job_id)
    if job.status == Status.CANCELLING:
        response.status_code = 202
        response.headers["retry-after"] = LOOK_AGAIN_SECONDS
    return job_view(job)


@router.delete(
    "/{job_id}",
    operation_id="delete_job",
    summary="Delete an ended job",
    status_code=204,
    responses=problems(404, 409),
)
async def delete_job(job_id: str, db: DatabaseDep, blobs: BlobsDep) -> None:
    """Delete a job that has ended, with its events and its result. Its corpus stays."""
    await run_writing(db, service.delete, db, blobs, job_id)


@router.get(
    "/{job_id}/events",
    operation_id="list_job_events",
    summary="What happened to a job",
    response_model=Page[EventView],
    responses={**problems(400, 404, 406, 422), **EVENTS},
)
async def list_job_events(  # noqa: PLR0913, PLR0917
    job_id: str,
    request: Request,
    headers: Annotated[EventHeaders, Header()],
    response: Response,
    db: DatabaseDep,
    page: PageDep,
) -> Page[EventView] | Response:
    """A page of events, oldest first; or, with `Accept: text/event-stream`, each as it happens.

    The stream ends with the job. Asked to go on after that, it answers 204.
    """
    form = choose_media_type(headers.accept, ("application/json", EVENT_STREAM))
    if form == EVENT_STREAM:
        hub: EventHub = request.app.state.events
        return await _stream(job_id, hub, sequence_of(headers.last_event_id or page.after))
    response.headers["vary"] = "accept"
    after = sequence_of(page.after)
    events, more = await run_in_threadpool(read_events, db, job_id, after, page.limit)
    return Page(data=[event_view(event) for event in events], has_more=more)


async def _stream(job_id: str, hub: EventHub, after: int) -> Response:
    news = await hub.open(job_id, after)
    if after and news == NOTHING_FOLLOWS:
        return Response(status_code=204)  # which tells a browser's EventSource not to come back
    headers = {"cache-control": "no-cache", "vary": "accept", "x-accel-buffering": "no"}
    return EventSourceResponse(hub.stream(job_id, after, news), headers=headers)
