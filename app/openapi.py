"""The OpenAPI document: FastAPI's, with every error as the problem document that it is.

And what several calls document alike.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Header
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.contract.report import Report
from app.errors import MEDIA_TYPE, FieldError, Problem


def schema_of(model: type[BaseModel]) -> dict[str, str]:
    """Return a reference to a model's schema, which is in the document's components."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Any text of yours, such as a UUID: sent again, it makes nothing a second time",
        examples=["4f9c1d1e-5b3f-4c0e-9a55-0c8f0f6b7f52"],
    ),
]

PROBLEM = {MEDIA_TYPE: {"schema": schema_of(Problem)}}
NOT_OURS = ("HTTPValidationError", "ValidationError")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer with problems of these statuses."""
    return {status: {"description": HTTPStatus(status).phrase} for status in statuses}


def links(parameter: str, operation_ids: Iterable[str]) -> dict[str, Any]:
    """Return the links of a response to calls that take the `id` of its body as a parameter."""
    return {
        operation_id: {
            "operationId": operation_id,
            "parameters": {parameter: "$response.body#/id"},
        }
        for operation_id in operation_ids
    }


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi` give the corrected document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in NOT_OURS:
        schemas.pop(name, None)
    models = [(model, "serialization") for model in (Problem, FieldError, Report)]
    _, ours = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas.update(ours["$defs"])
    for path in document["paths"].values():
        for operation in path.values():
            _describe_errors(operation)
    return document


def _describe_errors(operation: dict[str, Any]) -> None:
    """Give each error of a call the problem document as its content."""
    responses = operation["responses"]
    if operation.get("security"):
        responses.setdefault("401", {"description": HTTPStatus(401).phrase})
    for status, response in responses.items():
        if status >= "400":
            response["content"] = PROBLEM
    operation["responses"] = dict(sorted(responses.items()))
