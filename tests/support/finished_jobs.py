"""What is true of every job that succeeded."""

import hashlib
import io
import tarfile
from contextlib import closing

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.db import Database
from app.jobs.models import Job
from tests.support.workers import events

STAGES = [
    *("resolve", "corpus", "tokenizer", "transfer"),
    *("recover", "check", "export", "evaluate", "package"),
]
UNTRAINED = {"recovery": {"objective": "none"}}
SMALL = Recipe.model_validate({"vocab_size": 0.5, "evaluation": {"latency": False}, **UNTRAINED})


def stages_started(db: Database, job_id: str) -> list[str | None]:
    return [stage for type_, stage in events(db, job_id) if type_ == "stage.started"]


def check_artifact(done: Job, blobs: Blobs) -> None:
    """The archive and the single files are the same, and are what the job says."""
    assert done.artifact
    prefix = done.artifact["prefix"]
    with closing(blobs.reader(f"{prefix}/artifact.tar.gz")) as file:
        packed = bytes(file.read())
    assert hashlib.sha256(packed).hexdigest() == done.artifact["sha256"]
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        hashed = {
            member.name: hashlib.sha256(content.read()).hexdigest()
            for member in tar
            if (content := tar.extractfile(member))
        }
    assert hashed == {
        f"tiny-bert-fvt/{file['path']}": file["sha256"] for file in done.artifact["files"]
    }
    for file in done.artifact["files"]:
        assert blobs.size(f"{prefix}/artifact/{file['path']}") == file["bytes"]
    expected = {"model.safetensors", "tokenizer.json", "config.json", "report.json", "README.md"}
    expected |= {"manifest.json", "vocabulary.jsonl", "report.html", "tokenizer_config.json"}
    assert expected <= {name.partition("/")[2] for name in hashed}
