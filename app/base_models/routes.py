"""List the base models of this installation."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.base_models.catalog import list_models
from app.dependencies import SettingsDep
from app.pagination import Page

router = APIRouter(prefix="/v1/base-models", tags=["base models"])

MINILM: JsonDict = {
    "object": "base_model",
    "id": "sentence-transformers/all-MiniLM-L6-v2",
    "source": "packaged",
    "model_type": "bert",
    "vocab_size": 30522,
    "parameters": 22713216,
    "bytes": 90868376,
}


class BaseModelOut(BaseModel):
    """A base model that this installation can compress."""

    model_config = ConfigDict(protected_namespaces=(), json_schema_extra={"examples": [MINILM]})

    object: Literal["base_model"] = "base_model"
    id: str = Field(description="To be given as `base_model` of a job")
    source: Literal["local", "packaged"]
    model_type: str
    vocab_size: int = Field(description="Tokens of its tokenizer")
    parameters: int
    bytes: int = Field(description="Of its weights")


@router.get("", operation_id="list_base_models", summary="List base models")
def list_base_models(settings: SettingsDep) -> Page[BaseModelOut]:
    """List those on this machine, on one page; where the hub is allowed, its models work too."""
    models = [
        BaseModelOut(
            id=folder.id,
            source=folder.source,
            model_type=facts.model_type,
            vocab_size=facts.vocab_size,
            parameters=facts.parameters,
            bytes=facts.bytes,
        )
        for folder, facts in list_models(settings)
    ]
    return Page(data=models, has_more=False)
