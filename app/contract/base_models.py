"""Base models on the wire."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

MINILM: JsonDict = {
    "object": "base_model",
    "id": "sentence-transformers/all-MiniLM-L6-v2",
    "source": "packaged",
    "usable": True,
    "problem": None,
    "model_type": "bert",
    "vocab_size": 30522,
    "parameters": 22713216,
    "bytes": 90868376,
}


class BaseModelProblem(BaseModel):
    """Why a base model cannot be compressed."""

    code: str = Field(description="As a submission would be refused with")
    message: str = Field(description="What is wrong and what to do, for people")


class BaseModelView(BaseModel):
    """A base model of this installation."""

    model_config = ConfigDict(protected_namespaces=(), json_schema_extra={"examples": [MINILM]})

    object: Literal["base_model"] = "base_model"
    id: str = Field(description="To be given as `base_model` of a job")
    source: Literal["local", "packaged"]
    usable: bool = Field(True, description="Whether it can be compressed")
    problem: BaseModelProblem | None = Field(None, description="Why not; null where it can")
    model_type: str | None = Field(description="Like all below, null where it is not usable")
    vocab_size: int | None = Field(description="Tokens of its tokenizer")
    parameters: int | None
    bytes: int | None = Field(description="Of its weights")
