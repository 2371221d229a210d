"""A submission read from JSON or from a form's fields, with every fault named where it is."""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from app.errors import FieldError, ProblemError, UnprocessableError
from app.jobs.places import pointer_to, said_of
from app.jobs.planned import take_planned
from app.jobs.schemas import JobFields, JobRequest

FORM_FIELDS = ("base_model", "revision", "recipe", "name", "metadata")
JSON_FIELDS = {"recipe", "metadata"}

Fields = TypeVar("Fields", bound=JobFields)


def read_json(body: bytes) -> JobRequest:
    """A submission sent as JSON."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError("malformed_json", f"The body is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ProblemError("malformed_json", "The body must be a JSON object.")
    return _validated(JobRequest, document)


def read_form(fields: Mapping[str, str]) -> JobFields:
    """A submission sent as form fields, of which some hold JSON text."""
    document: dict[str, Any] = {}
    for name in fields:
        document[name] = _parsed(name, fields[name]) if name in JSON_FIELDS else fields[name]
    return _validated(JobFields, document)


def _parsed(name: str, text: str) -> Any:
    try:
        return orjson.loads(text or "null")
    except orjson.JSONDecodeError as error:
        raise _refusal([FieldError(pointer=f"/{name}", detail=f"no JSON: {error}")]) from error


def _validated(model: type[Fields], document: dict[str, Any]) -> Fields:
    """The submission; what is null is left to its default."""
    given = {name: value for name, value in document.items() if value is not None}
    errors = take_planned(given)
    try:
        fields = model.model_validate(given, strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        errors += [FieldError(pointer=pointer_to(f), detail=said_of(f, model)) for f in faults]
    if errors:
        raise _refusal(errors)
    return fields


def _refusal(errors: list[FieldError]) -> UnprocessableError:
    in_recipe = all(error.pointer.split("/")[1] == "recipe" for error in errors)
    detail = "; ".join(f"{error.pointer}: {error.detail}" for error in errors)
    code = "invalid_recipe" if in_recipe else "invalid_request"
    return UnprocessableError(code, detail, errors=errors)
