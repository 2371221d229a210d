"""Why a job can fail: through what the user sent, or through us."""

from typing import Literal

from pydantic import BaseModel, Field


class UserFault(Exception):  # noqa: N818
    """Something a user sent cannot work; the message says what to do about it.

    At submit it is answered as a 422 problem; in a worker it fails the job.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JobError(BaseModel):
    """Why a job failed."""

    type: Literal["user", "system"]
    code: str = Field(description="Stable, for programs", examples=["corpus_too_small"])
    message: str = Field(description="What is wrong and what to do, for people")
    retryable: bool = Field(description="Whether the same request can succeed later")
