"""The files of a job's result, found in the list that the worker wrote, never by a path."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from app.contract.jobs import ArtifactFileView
from app.contract.results import Artifact
from app.contract.states import Status
from app.db import Database
from app.errors import ConflictError, GoneError, NotFoundError
from app.jobs.models import Job
from app.jobs.service import read_job

UNSAFE_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
MEDIA_TYPES = {
    "gz": "application/gzip",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
WHY_NOT = {
    Status.FAILED: ("job_failed", "has failed and left no result; its `error` says why."),
    Status.CANCELLED: ("job_cancelled", "was cancelled and left no result. Submit it again."),
}
NOT_YET = ("job_not_finished", "is not finished. Wait until its `status` is `succeeded`.")


@dataclass(frozen=True)
class StoredFile:
    """A file of a result, and where its bytes are."""

    path: str
    bytes: int
    sha256: str
    key: str

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES.get(self.path.rpartition(".")[2], "application/octet-stream")


def find_archive(db: Database, job_id: str) -> tuple[StoredFile, str]:
    """The whole result as one `.tar.gz`, and a name for it on the client's disk."""
    job, artifact = _finished(db, job_id)
    archive = StoredFile("artifact.tar.gz", artifact.bytes, artifact.sha256, artifact.archive_key)
    return archive, f"{_file_name(job)}.tar.gz"


def list_files(db: Database, job_id: str) -> list[StoredFile]:
    """Every file of the result."""
    _, artifact = _finished(db, job_id)
    return [
        StoredFile(file.path, file.bytes, file.sha256, artifact.file_key(file.path))
        for file in artifact.files
    ]


def find_file(db: Database, job_id: str, path: str) -> StoredFile:
    """One file of the result."""
    for file in list_files(db, job_id):
        if file.path == path:
            return file
    raise NotFoundError(
        "artifact_not_found",
        f"The result has no file {path!r}. `GET /v1/jobs/{job_id}/artifacts` lists those it has.",
    )


def _finished(db: Database, job_id: str) -> tuple[Job, Artifact]:
    job = read_job(db, job_id)
    if job.artifact is None:
        code, why = WHY_NOT.get(Status(job.status), NOT_YET)
        raise ConflictError(code, f"{job_id} {why}")
    if job.artifact_expired_at:
        raise GoneError(
            "artifact_expired",
            f"The result of {job_id} was kept until {job.artifact_expired_at:%Y-%m-%d %H:%M} UTC. "
            "Submit the job again.",
        )
    return job, Artifact.model_validate(job.artifact)


def _file_name(job: Job) -> str:
    """The job's name, or its model's, as far as it is safe in any file system and header."""
    name = job.name or job.base_model.rpartition("/")[2]
    return UNSAFE_IN_NAMES.sub("-", name).strip("-.")[:100] or job.id


def file_view(job_id: str, file: StoredFile) -> ArtifactFileView:
    """Return what a client sees of a stored file."""
    url = f"/v1/jobs/{job_id}/artifacts/{quote(file.path)}"
    return ArtifactFileView(path=file.path, bytes=file.bytes, sha256=file.sha256, url=url)
