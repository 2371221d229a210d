"""The result of a job in blob storage: written by the worker, found again by the front end."""

from pydantic import BaseModel


class ArtifactFile(BaseModel):
    """A file of the result, by its path in the result."""

    path: str
    bytes: int
    sha256: str


class Artifact(BaseModel):
    """What `Job.artifact` holds: the archive's size and hash, and the files in it."""

    prefix: str
    bytes: int
    sha256: str
    files: list[ArtifactFile]


def archive_key(prefix: str) -> str:
    """Where the whole result lies as one `.tar.gz`."""
    return f"{prefix}/artifact.tar.gz"


def file_key(prefix: str, path: str) -> str:
    """Where one file of the result lies."""
    return f"{prefix}/artifact/{path}"
