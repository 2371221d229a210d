"""Taking in a submission: JSON that names a corpus, or a form that brings one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar, get_args

import orjson
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError

from app.contract.recipe import TASKS
from app.corpora.models import Corpus
from app.corpora.service import received_corpus
from app.corpora.uploads import is_multipart, media_type_of
from app.dependencies import BlobsDep, DatabaseDep, ExaminerDep, SettingsDep
from app.errors import MAX_ERRORS, FieldError, ProblemError, UnprocessableError
from app.jobs import service
from app.jobs.models import Job
from app.jobs.schemas import JobFields, JobRequest
from app.jobs.service import Key, make_key
from app.jobs.validation import check_base_model
from app.threads import CHECKS, run_writing

Fault = Mapping[str, Any]

MAX_SHOWN = 200
TASK = ("recipe", "evaluation", "task")
NO_SUCH_TASK = {"union_tag_not_found", "union_tag_invalid"}


def pointer_to(fault: Fault) -> str:
    """The JSON pointer of a fault's place."""
    path = [_cut(part) for part in fault["loc"] if part != "[key]"]
    if tuple(path[: len(TASK)]) == TASK:
        # Under a task pydantic names its type first, which is no field.
        del path[len(TASK) : len(TASK) + 1]
    if fault["type"] in NO_SUCH_TASK:
        path.append("type")
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _cut(part: str | int) -> str | int:
    """Cut a name short that a client may have made as long as a body may be."""
    return f"{part[:MAX_SHOWN]}…" if isinstance(part, str) and len(part) > MAX_SHOWN else part


def said_of(fault: Fault, model: type[BaseModel]) -> str:
    """Say what is wrong there and what to do; `model` is of the whole submission."""
    if fault["type"] == "extra_forbidden":
        return f"unknown field; known here are {_listed(_fields_at(model, fault['loc'][:-1]))}"
    if fault["type"] in NO_SUCH_TASK:
        return f"give one of {_listed(TASKS)}"
    return str(fault["msg"]).removeprefix("Value error, ")


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fields_at(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    if tuple(path[: len(TASK)]) == TASK:
        return list(TASKS[path[len(TASK)]].model_fields)
    for name in path:
        annotation = model.model_fields[name].annotation
        model = next(part for part in (annotation, *get_args(annotation)) if isinstance(part, type))
    return list(model.model_fields)


WEBHOOK = "webhooks; leave this out and follow the job at `GET /v1/jobs/{id}` or its events"

FIELDS: dict[tuple[str, ...], str] = {
    ("webhook",): WEBHOOK,
}


def take_planned(document: dict[str, Any]) -> list[FieldError]:
    """Take from a submission what this version does not know; returns what it would have had to do.

    A field that asks for nothing (`"onnx": false`) is taken without a word.
    """
    errors = []
    for path, what in FIELDS.items():
        parent = _parent(document, path)
        if path[-1] in parent and not _asks_for_nothing(parent.pop(path[-1])):
            errors.append(_unavailable(path, what))
    return errors


def _parent(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The object that holds the last name of `path`; an empty one where there is none."""
    found: Any = document
    for name in path[:-1]:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _asks_for_nothing(value: Any) -> bool:
    return not value or (isinstance(value, dict) and not any(value.values()))


def _unavailable(path: tuple[str, ...], what: str) -> FieldError:
    return FieldError(pointer="/" + "/".join(path), detail=f"not available in this version: {what}")


MAX_VALUES = 20_000
"""More keys and values than any submission has: 10,000 tokens to keep are the longest list."""
IN_THE_LOOP_BYTES = 1 << 14
"""A body up to this size is read where it arrives: sooner than in a thread, and in a moment."""

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
    check_extent(document)
    given = {name: value for name, value in document.items() if value is not None}
    errors = take_planned(given)
    try:
        fields = model.model_validate(given, strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False)[:MAX_ERRORS]
        errors += [FieldError(pointer=pointer_to(f), detail=said_of(f, model)) for f in faults]
    if errors:
        raise _refusal(errors)
    return fields


def check_extent(document: dict[str, Any]) -> None:
    """Refuse a document of very many values, each of which might be told to be wrong."""
    left, parts = MAX_VALUES, [document]
    while parts:
        part: Any = parts.pop()
        if isinstance(part, (dict, list)):
            left -= len(part)
            if left < 0:
                detail = f"The submission holds more than {MAX_VALUES:,} values; none needs as many"
                raise _refusal([FieldError(pointer="/", detail=detail)])
            parts += part.values() if isinstance(part, dict) else part


def _refusal(errors: list[FieldError]) -> UnprocessableError:
    in_recipe = all(error.pointer.split("/")[1] == "recipe" for error in errors)
    detail = "; ".join(f"{error.pointer}: {error.detail}" for error in errors)
    code = "invalid_recipe" if in_recipe else "invalid_request"
    return UnprocessableError(code, detail, errors=errors)


class UnsupportedMediaTypeError(ProblemError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def check_is_json(request: Request) -> None:
    """Refuse a submission of another media type, where it is no form."""
    if media_type_of(request) != "application/json":
        raise UnsupportedMediaTypeError(
            "unsupported_media_type",
            "Send the job as `Content-Type: application/json`, or as multipart/form-data "
            "together with its corpus.",
        )


class ReplayedError(Exception):
    """The submission had been made before: the file that came with it now is not kept."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.id)
        self.job = job


@dataclass(frozen=True)
class Intake:
    """Reader of submissions; a dependency of the route."""

    db: DatabaseDep
    blobs: BlobsDep
    settings: SettingsDep
    examiner: ExaminerDep

    async def take(self, request: Request, key: str | None) -> tuple[Job, bool]:
        """Queue the job that a request describes, unless it was made before: it and whether."""
        if is_multipart(request):
            return await self._take_form(request, key)
        check_is_json(request)
        body = await request.body()
        is_small = len(body) <= IN_THE_LOOP_BYTES
        fields = read_json(body) if is_small else await CHECKS.run(read_json, body)
        return await self._submit(fields, fields.corpus_id, make_key(key, fields, {}))

    async def _take_form(self, request: Request, key: str | None) -> tuple[Job, bool]:
        upload = received_corpus(
            request, self.blobs, self.settings, file_field="corpus", other_fields=FORM_FIELDS
        )
        try:
            async with upload as received:
                row = received.row
                fields = await CHECKS.run(read_form, received.fields)
                kept = {"sha256": row.sha256, "format": row.format, "text_field": row.text_field}
                return _unless_replayed(
                    *await self._submit(fields, row, make_key(key, fields, kept))
                )
        except ReplayedError as earlier:
            return earlier.job, True

    async def _submit(
        self, fields: JobFields, corpus: Corpus | str, key: Key | None
    ) -> tuple[Job, bool]:
        if key and (earlier := await run_in_threadpool(service.find_earlier, self.db, key)):
            return earlier, True
        facts = await CHECKS.run(check_base_model, fields, self.settings, self.examiner)
        return await run_writing(
            self.db, service.submit, self.db, self.blobs, self.settings, fields, facts, corpus, key
        )


def _unless_replayed(job: Job, replayed: bool) -> tuple[Job, bool]:
    if replayed:
        raise ReplayedError(job)
    return job, replayed


IntakeDep = Annotated[Intake, Depends()]
