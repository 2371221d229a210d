"""Jobs run to their end in this process."""

import json
import tarfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from app.settings import Settings
from tests.support.finished_jobs import UNTRAINED
from tests.support.job_store import read
from tests.support.tiny_models import texts
from tests.support.workers import store_corpus, submit
from worker.runner import run_to_an_end


def run(
    settings: Settings,
    db: Database,
    blobs: Blobs,
    corpus_texts: list[str] | None = None,
    **recipe: Any,
) -> Job:
    """Compress the small model; without a word of it nothing is timed and nothing trained."""
    corpus = store_corpus(db, blobs, corpus_texts or texts(800))
    wanted = Recipe.model_validate({"evaluation": {"latency": False}, **UNTRAINED, **recipe})
    job = submit(db, corpus.id, "acme/tiny-bert", wanted)
    claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
    assert claim
    run_to_an_end(claim, settings, db, blobs)
    return read(db, job.id)


def unpack(job: Job, blobs: Blobs, folder: Path) -> Path:
    """The result's folder, as a client unpacks it."""
    assert job.artifact
    with closing(blobs.reader(f"{job.artifact['prefix']}/artifact.tar.gz")) as file:
        packed = folder / "artifact.tar.gz"
        packed.write_bytes(bytes(file.read()))
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    return folder / "tiny-bert-fvt"


def report_of(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))
