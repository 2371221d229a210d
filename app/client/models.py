"""What the service answers; fields that a newer service adds are kept."""

from pydantic import BaseModel, ConfigDict


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


class BaseModelInfo(Answer):
    id: str
