"""Jobs on the wire, as the API answers and the client reads them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from .errors import JobError
from .events import EVENTS
from .recipe import Recipe
from .states import TERMINAL, Status

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
JOB_ID = "job_01kaf3xg6zq0w8m2v7c5rjt4he"
CORPUS_ID = "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r"


class Progress(BaseModel):
    """The progress of a job."""

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


class ArtifactFileView(BaseModel):
    """A file of a result."""

    object: Literal["artifact"] = "artifact"
    path: str = Field(examples=["model.safetensors"])
    bytes: int = Field(examples=[55_812_360])
    sha256: str
    url: str = Field(description="Where it is, on this host")


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
    attempt: int = Field(
        description="How many times a worker has taken it up, but for those when it was handed "
        "back because the worker was stopped",
        examples=[1],
    )
    error: JobError | None = Field(description="Why it failed")
    result: dict[str, Any] | None = Field(
        description="The headline figures, once it succeeded, or where it failed its gate"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    elapsed_seconds: float | None = Field(
        None, description="Since a worker first took it up, until its end", examples=[12.5]
    )
    queue_position: int | None = Field(
        None, description="While it is queued: 1 is the next to be taken up", examples=[1]
    )
    artifact: ArtifactView | None = Field(
        description="The result, once it succeeded, or where it failed its gate; until it expires"
    )
    artifact_expired_at: datetime | None = Field(
        None, description="Since when the result is no longer kept"
    )

    @property
    def is_over(self) -> bool:
        """True where nothing will change any more."""
        return self.status in TERMINAL


class EventView(BaseModel):
    """Something that happened to a job."""

    object: Literal["event"] = "event"
    id: str = Field(examples=["event_417"])
    type: str = Field(
        description="One of " + ", ".join(f"`{name}`" for name in EVENTS),
        examples=["stage.started"],
    )
    created_at: datetime
    data: dict[str, Any] = Field(examples=[{"stage": "tokenizer"}])
