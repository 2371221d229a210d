"""Jobs on the wire: what a client sends and what it gets."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.contract.errors import JobError
from app.contract.recipe import Recipe
from app.ids import PRINTABLE
from app.jobs.models import Job, JobEvent
from app.jobs.state import Status
from app.pagination import PageQuery

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
JOB_ID = "job_01kaf3xg6zq0w8m2v7c5rjt4he"
CORPUS_ID = "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r"

Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]
LabelText = Annotated[str, StringConstraints(max_length=512)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]


class JobFields(BaseModel):
    """What a job is to do, beside its corpus."""

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


class Progress(BaseModel):
    """How far a job is."""

    fraction: float = Field(description="Of the whole job, 0 to 1", examples=[0.4])
    message: str = Field(description="For people", examples=["counting words"])
    eta_seconds: float | None = Field(description="Time left, where it is known", examples=[42.0])


class ArtifactView(BaseModel):
    """The result as one `.tar.gz`."""

    bytes: int = Field(examples=[51_234_567])
    sha256: str = Field(
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
    )
    url: str = Field(
        description="Where it is, on this host", examples=[f"/v1/jobs/{JOB_ID}/download"]
    )


class JobView(BaseModel):
    """A compression job."""

    object: Literal["job"] = "job"
    id: str = Field(examples=[JOB_ID])
    name: str | None
    base_model: str = Field(examples=[MODEL])
    revision: str | None
    corpus_id: str = Field(examples=[CORPUS_ID])
    recipe: dict[str, Any] = Field(
        description="The recipe, complete with the defaults of the day it was sent",
        examples=[Recipe().model_dump()],
    )
    metadata: dict[str, str]
    status: Status
    stage: str | None = Field(description="What the worker is at", examples=["tokenizer"])
    progress: Progress
    attempt: int = Field(description="How many times a worker has taken it up", examples=[1])
    error: JobError | None = Field(description="Why it failed")
    result: dict[str, Any] | None = Field(
        description="The headline figures, once it succeeded, or where it failed its gate"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    artifact: ArtifactView | None = Field(
        description="The result, once it succeeded, or where it failed its gate"
    )

    @classmethod
    def of(cls, job: Job) -> Self:
        """What a client sees of a job."""
        progress = {
            "fraction": job.fraction,
            "message": job.message,
            "eta_seconds": job.eta_seconds,
        }
        artifact = job.artifact and {
            "bytes": job.artifact["bytes"],
            "sha256": job.artifact["sha256"],
            "url": f"/v1/jobs/{job.id}/download",
        }
        same = {name: getattr(job, name) for name in _SAME_AS_COLUMN}
        return cls(metadata=job.labels, progress=progress, artifact=artifact, **same)


_SAME_AS_COLUMN = JobView.model_fields.keys() - {"object", "metadata", "progress", "artifact"}


class EventView(BaseModel):
    """Something that happened to a job."""

    object: Literal["event"] = "event"
    id: str = Field(examples=["event_417"])
    type: str = Field(
        description="`job.` queued, started, progress, retrying, cancelling, succeeded, failed or "
        "cancelled; `stage.` started or finished; `recovery.loss`, a point of the loss curve",
        examples=["stage.started"],
    )
    created_at: datetime
    data: dict[str, Any] = Field(examples=[{"stage": "tokenizer"}])

    @classmethod
    def of(cls, event: JobEvent) -> Self:
        """What a client sees of an event."""
        return cls(
            id=f"event_{event.sequence}",
            type=event.type,
            created_at=event.created_at,
            data=event.data,
        )


class JobQuery(PageQuery):
    """Which page of which jobs."""

    status: Status | None = Field(None, description="Only the jobs in this state")
