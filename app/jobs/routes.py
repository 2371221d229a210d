"""Jobs over HTTP."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Field

from app.dependencies import BlobsDep, DatabaseDep
from app.jobs import service
from app.jobs.accept import choose_media_type
from app.jobs.events import read_events, read_news, sequence_of, stream_events
from app.jobs.intake import IntakeDep
from app.jobs.openapi import EVENTS, LOOK_AGAIN, SUBMISSION, SUBMITTED
from app.jobs.schemas import EventView, JobQuery, JobView
from app.jobs.state import ACTIVE, Status
from app.openapi import problems
from app.pagination import Page, PageDep

EVENT_STREAM = "text/event-stream"
LOOK_AGAIN_SECONDS = "2"

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Any text of yours, such as a UUID: sent again, it makes no second job",
        examples=["4f9c1d1e-5b3f-4c0e-9a55-0c8f0f6b7f52"],
    ),
]


class EventHeaders(BaseModel):
    """How to be told of events."""

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
    responses={**problems(400, 404, 413, 415, 422), **SUBMITTED},
    openapi_extra=SUBMISSION,
)
async def submit_job(
    request: Request,
    response: Response,
    afterwards: BackgroundTasks,
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
        # Behind the answer, which a broker that is away must not delay.
        afterwards.add_task(intake.ring, job.id)
    return JobView.of(job)


@router.get(
    "",
    operation_id="list_jobs",
    summary="List the jobs, newest first",
    responses=problems(400, 422),
)
def list_jobs(db: DatabaseDep, query: Annotated[JobQuery, Query()]) -> Page[JobView]:
    """Every job, or those in one state."""
    jobs, more = service.list_jobs(db, query)
    return Page(data=[JobView.of(job) for job in jobs], has_more=more)


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
    return JobView.of(job)


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
def cancel_job(job_id: str, response: Response, db: DatabaseDep) -> JobView:
    """End a queued job at once; a running one ends when its worker next looks, within seconds.

    Cancelling again changes nothing.
    """
    job = service.cancel(db, job_id)
    if job.status == Status.CANCELLING:
        response.status_code = 202
        response.headers["retry-after"] = LOOK_AGAIN_SECONDS
    return JobView.of(job)


@router.delete(
    "/{job_id}",
    operation_id="delete_job",
    summary="Delete an ended job",
    status_code=204,
    responses=problems(404, 409),
)
def delete_job(job_id: str, db: DatabaseDep, blobs: BlobsDep) -> None:
    """Delete a job that has ended, with its events and its result. Its corpus stays."""
    service.delete(db, blobs, job_id)


@router.get(
    "/{job_id}/events",
    operation_id="list_job_events",
    summary="What happened to a job",
    response_model=Page[EventView],
    responses={**problems(400, 404, 406, 422), **EVENTS},
)
def list_job_events(
    job_id: str,
    headers: Annotated[EventHeaders, Header()],
    response: Response,
    db: DatabaseDep,
    page: PageDep,
) -> Page[EventView] | Response:
    """A page of events, oldest first; or, with `Accept: text/event-stream`, each as it happens.

    The stream ends with the job. Asked to go on after that, it answers 204.
    """
    service.read_job(db, job_id)
    form = choose_media_type(headers.accept, ("application/json", EVENT_STREAM))
    if form == EVENT_STREAM:
        return _stream(job_id, db, sequence_of(headers.last_event_id or page.after))
    response.headers["vary"] = "accept"
    events, more = read_events(db, job_id, sequence_of(page.after), page.limit)
    return Page(data=[EventView.of(event) for event in events], has_more=more)


def _stream(job_id: str, db: DatabaseDep, after: int) -> Response:
    if after and read_news(db, job_id, after) == ([], True):
        return Response(status_code=204)  # which tells a browser's EventSource not to come back
    headers = {"cache-control": "no-cache", "vary": "accept", "x-accel-buffering": "no"}
    return EventSourceResponse(stream_events(db, job_id, after), headers=headers)
