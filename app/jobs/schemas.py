"""Requests about jobs, and the views of rows of the job store."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.contract.jobs import CORPUS_ID, MODEL, EventView, JobView, Progress
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.contract.text import PRINTABLE, STORABLE
from app.contract.text import Printable as Text
from app.db import now
from app.jobs.models import Job, JobEvent
from app.pagination import PageQuery

Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]
LabelText = Annotated[str, StringConstraints(max_length=512, pattern=STORABLE)]


class JobFields(BaseModel):
    """The fields of a submission, beside its corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_model: Text = Field(
        description="One of `GET /v1/base-models`, or `org/name` on the hub.", examples=[MODEL]
    )
    revision: Text | None = Field(None, description="A branch, tag or commit on the hub.")
    recipe: Recipe = Field(Recipe(), description="How to compress; every field has a default.")
    name: Text | None = Field(None, description="For people.", examples=["leaflets, a quarter"])
    metadata: Annotated[dict[Label, LabelText], Field(max_length=16)] = Field(
        default_factory=dict,
        description="Up to 16 pairs of strings of yours, given back as they are.",
        examples=[{"team": "search"}],
    )


class JobRequest(JobFields):
    """A job on a corpus that was uploaded before."""

    corpus_id: Text = Field(examples=[CORPUS_ID])


class JobForm(BaseModel):
    """A job and its corpus in one `multipart/form-data` request."""

    base_model: str = Field(examples=[MODEL])
    corpus: bytes = Field(
        description="The corpus file, as `POST /v1/corpora` takes it.",
        json_schema_extra={"format": "binary"},
    )
    recipe: str | None = Field(None, description="JSON text.", examples=['{"vocab_size": 0.25}'])
    name: str | None = None
    metadata: str | None = Field(None, description="JSON text.", examples=['{"team": "search"}'])
    revision: str | None = None
    format: str | None = Field(None, description="The corpus's format, where its name does not say")
    text_field: str | None = Field(None, description="The field of the corpus that holds its text.")


def job_view(job: Job, queue_position: int | None = None) -> JobView:
    """Return what a client sees of a job; its place in the queue is that of a moment ago."""
    artifact = None
    if job.artifact and not job.artifact_expired_at:
        artifact = {
            "bytes": job.artifact["bytes"],
            "sha256": job.artifact["sha256"],
            "url": f"/v1/jobs/{job.id}/download",
        }
    progress = Progress(fraction=job.fraction, message=job.message, eta_seconds=job.eta_seconds)
    same = {name: getattr(job, name) for name in _SAME_AS_COLUMN}
    return JobView(
        metadata=job.labels,
        progress=progress,
        artifact=artifact,
        elapsed_seconds=_elapsed_seconds(job),
        queue_position=queue_position,
        **same,
    )


def _elapsed_seconds(job: Job) -> float | None:
    """Return the time since a worker first took the job up; None of one that never was."""
    if job.started_at is None:
        return None
    # Clocks of two machines may differ.
    return max(0.0, round(((job.finished_at or now()) - job.started_at).total_seconds(), 1))


_SAME_AS_COLUMN = JobView.model_fields.keys() - {
    *("object", "metadata", "progress", "artifact"),
    *("elapsed_seconds", "queue_position"),
}


def event_view(event: JobEvent) -> EventView:
    """Return what a client sees of an event."""
    return EventView(
        id=f"event_{event.sequence}",
        type=event.type,
        created_at=event.created_at,
        data=event.data,
    )


class JobQuery(PageQuery):
    """The page that is asked for, and of which jobs."""

    status: Status | None = Field(None, description="Only the jobs in this state")
