"""Estimates of jobs over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from app.bodies import lift_body_limit
from app.contract.estimate import Estimate
from app.contract.jobs import CORPUS_ID, MODEL
from app.corpora.formats.layout import Hints
from app.corpora.schemas import CorpusOptions
from app.corpora.service import read_options
from app.corpora.uploads import FORM_OVERHEAD, FileForm, FormShape, body_of, is_multipart
from app.dependencies import ExaminerDep
from app.errors import FieldError, TooLargeError, UnprocessableError
from app.estimates.beginnings import READ_BYTES, Source
from app.estimates.service import Estimator
from app.jobs.routes import inlined
from app.jobs.schemas import JobRequest
from app.jobs.submission import (
    FORM_FIELDS,
    IN_THE_LOOP_BYTES,
    check_is_json,
    read_form,
    read_json,
)
from app.jobs.validation import check_has_text
from app.openapi import problems
from app.threads import CHECKS, ESTIMATES

router = APIRouter(prefix="/v1/estimate", tags=["jobs"])

CORPUS_BYTES = "corpus_bytes"
MAX_DIGITS = 18


class EstimateForm(BaseModel):
    """A job and the beginning of its corpus, in one `multipart/form-data` request."""

    base_model: str = Field(examples=[MODEL])
    file: bytes = Field(
        description=f"The corpus, or its beginning: at most {READ_BYTES:,} bytes.",
        json_schema_extra={"format": "binary"},
    )
    corpus_bytes: str | None = Field(
        None,
        description="The size of the whole file, where `file` is only its beginning.",
        examples=["17179869184"],
    )
    recipe: str | None = Field(None, description="JSON text.", examples=['{"vocab_size": 0.25}'])
    revision: str | None = None
    format: str | None = Field(None, description="The corpus's format, where its name does not say")
    text_field: str | None = Field(None, description="The field of the corpus that holds its text.")


EXAMPLES: dict[str, Any] = {
    "default": {
        "summary": "A quarter of the vocabulary",
        "value": {"base_model": MODEL, "corpus_id": CORPUS_ID, "recipe": {"vocab_size": 0.25}},
    },
    "sweep": {
        "summary": "Three sizes with half of the layers, in int8",
        "value": {
            "base_model": MODEL,
            "corpus_id": CORPUS_ID,
            "recipe": {
                "vocab_size": [0.5, 0.25, 0.1],
                "recovery": {"keep_layers": 3},
                "export": {"int8": True},
            },
        },
    },
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"examples": EXAMPLES}, "multipart/form-data": {}},
    }
}


def describe_estimate() -> None:
    """Document what a request may hold, with the names that there are now."""
    content = BODY["requestBody"]["content"]
    content["application/json"]["schema"] = inlined(JobRequest)
    content["multipart/form-data"]["schema"] = inlined(EstimateForm)


async def _estimator(request: Request) -> Estimator:
    return cast(Estimator, request.app.state.estimator)


EstimatorDep = Annotated[Estimator, Depends(_estimator)]


@router.post(
    "",
    operation_id="estimate_job",
    summary="Estimate a job before it is submitted",
    responses=problems(400, 404, 413, 415, 422, 503),
    openapi_extra=BODY,
)
async def estimate(request: Request, estimator: EstimatorDep, examiner: ExaminerDep) -> Estimate:
    """Say what a job would make, how long it would take and what speaks against it.

    Send what `POST /v1/jobs` takes, or a form with the first megabytes of the corpus. Parameters
    and bytes of weights are exact; tokens and minutes have an interval that is likely to hold them,
    and bytes of exports are estimated. Nothing is stored, and nothing is queued.
    """
    if is_multipart(request):
        form, data = await _received(request)
        options = await CHECKS.run(read_options, CorpusOptions(), form.fields)
        check_has_text(options.format or "")
        hints = Hints(options.format, options.text_field, form.filename, form.media_type)
        size = _whole_size(form.fields, len(data))
        given = {name: form.fields[name] for name in FORM_FIELDS if name in form.fields}
        fields = await CHECKS.run(read_form, given)
        await CHECKS.run(estimator.check, fields, examiner)
        await run_in_threadpool(estimator.stored, fields, None)
        source = Source(size=size, data=data, hints=hints)
        return await ESTIMATES.run(estimator.estimate, fields, source)
    check_is_json(request)
    body = await request.body()
    is_small = len(body) <= IN_THE_LOOP_BYTES
    job = read_json(body) if is_small else await CHECKS.run(read_json, body)
    await CHECKS.run(estimator.check, job, examiner)
    stored = await run_in_threadpool(estimator.stored, job, job.corpus_id)
    assert stored
    return await ESTIMATES.run(estimator.estimate, job, stored)


async def _received(request: Request) -> tuple[FileForm, bytes]:
    """Take in a form whose file is small enough to be held."""
    names = {*CorpusOptions.model_fields, *FORM_FIELDS, CORPUS_BYTES}
    form = FileForm(request.headers["content-type"], FormShape("file", frozenset(names)))
    lift_body_limit(request, READ_BYTES + FORM_OVERHEAD)
    data = bytearray()
    async for chunk in body_of(request):
        for piece in form.feed(chunk):
            data += piece
        if len(data) > READ_BYTES:
            raise TooLargeError(
                "sample_too_large",
                f"For an estimate at most {READ_BYTES:,} bytes of a corpus are read. Send its "
                "beginning, with the size of all of it as `corpus_bytes`, or upload it with "
                "`POST /v1/corpora` and give its `corpus_id`.",
            )
    form.finish()
    return form, bytes(data)


def _whole_size(fields: Mapping[str, str], sent: int) -> int:
    text = fields.get(CORPUS_BYTES, "")
    if not text:
        return sent
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    if not is_number or int(text) < sent:
        detail = f"give the size of the whole file in bytes, at least the {sent:,} that were sent"
        fault = FieldError(pointer=f"/{CORPUS_BYTES}", detail=detail)
        raise UnprocessableError("invalid_request", f"/{CORPUS_BYTES}: {detail}", errors=[fault])
    return int(text)
