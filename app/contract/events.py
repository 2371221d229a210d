"""The events of a job: each type with what its `data` holds.

A worker or the API writes one with the change that it tells of; clients read them as pages or as a
stream.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from .errors import JobError
from .report import LossPoint


class EventData(BaseModel):
    """The data of an event; `type` is its name on the wire."""

    model_config = ConfigDict(frozen=True)
    type: ClassVar[str]


class JobQueued(EventData):
    """The job waits for a worker."""

    type = "job.queued"


class JobStarted(EventData):
    """A worker has taken the job up."""

    type = "job.started"
    attempt: int
    worker: str


class JobProgress(EventData):
    """The share of the whole job that is done, 0 to 1, and the seconds left, where known."""

    type = "job.progress"
    fraction: float
    message: str
    eta_seconds: float | None


class JobRetrying(EventData):
    """An attempt failed through a fault of ours; another one follows."""

    type = "job.retrying"
    error: JobError


class JobCancelling(EventData):
    """The worker has been asked to stop."""

    type = "job.cancelling"


class JobSucceeded(EventData):
    """The result can be downloaded."""

    type = "job.succeeded"


class JobFailed(EventData):
    """The job ended without the result that was asked for."""

    type = "job.failed"
    error: JobError


class JobCancelled(EventData):
    """The worker has stopped, or the job never started."""

    type = "job.cancelled"


class StageStarted(EventData):
    """A stage of the job begins."""

    type = "stage.started"
    stage: str


class StageFinished(EventData):
    """A stage of the job is done and will not be run again."""

    type = "stage.finished"
    stage: str
    seconds: float


class RecoveryLoss(LossPoint, EventData):
    """A point of the loss curve of the model of this many tokens.

    `layers` are its layers where a target chose them; None where it has all, or the recipe's.
    """

    type = "recovery.loss"
    vocab_size: int
    layers: int | None = None


class RecoveryReplanned(EventData):
    """Time is short for the planned steps of the model of this many tokens: it takes fewer."""

    type = "recovery.replanned"
    vocab_size: int
    layers: int | None = None
    planned_steps: int
    steps: int


EVENTS: dict[str, type[EventData]] = {
    event.type: event
    for event in (
        JobQueued,
        JobStarted,
        JobProgress,
        JobRetrying,
        JobCancelling,
        JobSucceeded,
        JobFailed,
        JobCancelled,
        StageStarted,
        StageFinished,
        RecoveryLoss,
        RecoveryReplanned,
    )
}
