"""What the service answers; fields that a newer service adds are kept."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.contract.errors import JobError
from app.jobs.state import TERMINAL, Status


class Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class Corpus(Answer):
    id: str
    name: str | None = None
    format: str
    bytes: int
    sha256: str
    documents: int
    characters: int


class Progress(Answer):
    fraction: float
    message: str
    eta_seconds: float | None = None


class Artifact(Answer):
    bytes: int
    sha256: str
    url: str


class ArtifactFile(Answer):
    path: str
    bytes: int
    sha256: str
    url: str


class Job(Answer):
    id: str
    name: str | None = None
    base_model: str
    corpus_id: str
    status: Status
    stage: str | None = None
    progress: Progress
    attempt: int
    error: JobError | None = None
    result: dict[str, Any] | None = None
    artifact: Artifact | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in TERMINAL


class Event(Answer):
    type: str
    data: dict[str, Any]
    created_at: datetime


class BaseModelInfo(Answer):
    id: str
