"""What the service answers; fields that a newer service adds are kept."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class BaseModelInfo(Answer):
    id: str
