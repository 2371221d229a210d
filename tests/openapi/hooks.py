"""Play the worker for schemathesis: of the jobs that it submits, most have ended at once.

Only so it gets to results, and to what each state of a job refuses. The service is found by its
settings, `FVT_DATABASE_URL` and `FVT_BLOBS_URL`.
"""

from functools import cache
from itertools import count
from typing import Any

import httpx
import schemathesis
from schemathesis.generation.meta import TestPhase

from app.blobs import Blobs
from app.contract.errors import JobError
from app.contract.states import ACTIVE
from app.db import Database
from app.ids import is_id
from app.jobs import transitions
from app.jobs.models import Job
from app.settings import get_settings
from tests.support.reports import full_report
from tests.support.serving import MODEL, Service

NUMBERS = count()
FAULT = JobError(type="user", code="corpus_too_small", message="Upload more.", retryable=False)
TEXT = b"one document\nanother document\n"
FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(200)),
    "report.html": b"<!doctype html><title>Report</title>",
    "report.json": full_report("a").model_dump_json().encode(),
}


@cache
def service() -> Service:
    """Open the store of the service under test."""
    settings = get_settings()
    store = Database(settings.database_url), Blobs(settings.blobs_url)
    return Service(httpx.Client(), *store, settings)


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], response: schemathesis.Response
) -> None:
    """End three of four new jobs: well, badly and with a request to cancel that is not answered."""
    del context
    if case.operation.label != "POST /v1/jobs" or response.status_code != 202:
        return
    job_id = response.json()["id"]
    with service().db.read() as session:
        job = session.get(Job, job_id)
    if job is None or job.status != "queued":
        return
    number = next(NUMBERS) % 4
    if number == 0:
        service().succeed(job_id, FILES, b"an archive")
    elif number == 1:
        transitions.fail(service().db, service().claim(job_id), FAULT)
    elif number == 2:
        service().claim(job_id)


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """Give the walk through states what no schema can say, and take the one call that waits."""
    del context, kwargs
    walks = case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL
    if case.operation.label == "POST /v1/corpora" and walks:
        # Chance does not write a file of text, and without a corpus there is no job.
        form: Any = {"file": TEXT}
        case.body, case.media_type, case.query = form, "multipart/form-data", {}
    elif case.operation.label == "POST /v1/jobs" and walks and isinstance(case.body, dict):
        is_form = case.media_type == "multipart/form-data"
        given: Any = {"corpus": TEXT} if is_form else {"corpus_id": case.body.get("corpus_id")}
        case.body = {"base_model": MODEL, **given}
    elif "path" in case.path_parameters and walks:
        case.path_parameters["path"] = "config.json"
    elif case.operation.label == "GET /v1/jobs/{job_id}/events" and _is_active(case):
        # The stream of events of a job ends when the job does.
        case.headers["accept"] = "application/json"


def _is_active(case: schemathesis.Case[Any]) -> bool:
    job_id = str(case.path_parameters.get("job_id"))
    with service().db.read() as session:
        job = session.get(Job, job_id) if is_id(job_id) else None
    return job is not None and job.status in ACTIVE
