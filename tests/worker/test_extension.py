"""A job with an objective, a runtime and a metric that an installation added, in a real worker."""

import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import pytest

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.contract.report import Report
from app.contract.states import Status
from app.db import Database
from app.jobs.models import Job
from app.settings import Settings
from tests.support.tiny_models import texts
from tests.support.workers import store_corpus, submit, wait_for_end, worker_process

EXTENSION = "tests.toy_extension"
RECIPE = {
    "vocab_size": 0.5,
    "recovery": {"objective": "toy", "max_steps": 5, "batch_size": 4},
    "evaluation": {"latency": True},
    "export": {"toy": True},
    "gate": {"min_quality": 0.01, "metric": "toy_vector_length"},
}
# In a process of its own: names that are registered stay.
VALIDATE = """
import json, sys
from app.contract.recipe import Recipe
from app.extensions import import_names
from app.settings import get_settings
import_names(get_settings())
print(json.dumps(Recipe.model_validate(json.loads(sys.argv[1])).model_dump(mode="json")))
"""
TABLE = """
import sys
from fvt_client import Report
from fvt_client.cli.output import before_after, out
out.width = 200
out.print(before_after(Report.model_validate_json(sys.stdin.read())))
"""


def python(code: str, *arguments: str, given: str = "") -> str:
    """Run a program as the API and the CLI run where the extension is installed."""
    environment = os.environ | {"FVT_EXTENSIONS": json.dumps([EXTENSION])}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, input=given, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def file_of(job: Job, blobs: Blobs, path: str) -> bytes:
    assert job.artifact
    with closing(blobs.reader(f"{job.artifact['prefix']}/artifact/{path}")) as file:
        return bytes(file.read())


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_uses_what_an_extension_adds(
    settings: Settings, db: Database, blobs: Blobs, processes: int
) -> None:
    more = {"extensions": [EXTENSION], "recovery_processes": processes, "device": "cpu"}
    recipe = json.loads(python(VALIDATE, json.dumps(RECIPE)))
    corpus = store_corpus(db, blobs, texts(800))
    job = submit(db, corpus.id, "acme/tiny-bert", Recipe.model_construct(**recipe))
    with worker_process(settings.model_copy(update=more)):
        done = wait_for_end(settings, db, job.id, seconds=timedelta(minutes=4).total_seconds())
    assert done.status == Status.SUCCEEDED, done.error

    report = Report.model_validate_json(file_of(done, blobs, "report.json"))
    assert (report.recovery.used, report.recovery.steps) == ("toy", 5)
    assert report.quality[-1].metric == "toy_vector_length"
    [export] = report.exports
    assert (export.runtime, export.path) == ("toy-table", "toy/table.npy")
    assert any(row.runtime == "toy-table" for row in report.latency)
    assert done.result
    assert "toy_vector_length" in done.result["quality"]

    page = file_of(done, blobs, "report.html").decode()
    assert "Toy table" in page
    assert "Same lengths of vectors" in page
    table = python(TABLE, given=file_of(done, blobs, "report.json").decode())
    # A client has no extension: it says the names.
    assert "toy_vector_length" in table
    assert "toy-table" in table


def test_without_the_extension_its_names_are_refused() -> None:
    for part in ("recovery", "export", "gate"):
        with pytest.raises(ValueError, match="toy"):
            Recipe.model_validate({part: RECIPE[part]})
