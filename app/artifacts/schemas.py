"""Files of a result as clients see them."""

from typing import Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, Field

from app.artifacts.service import StoredFile


class ArtifactFile(BaseModel):
    """A file of a result."""

    object: Literal["artifact"] = "artifact"
    path: str = Field(examples=["model.safetensors"])
    bytes: int = Field(examples=[55_812_360])
    sha256: str
    url: str = Field(description="Where it is, on this host")

    @classmethod
    def of(cls, job_id: str, file: StoredFile) -> Self:
        """What a client sees of a stored file."""
        url = f"/v1/jobs/{job_id}/artifacts/{quote(file.path)}"
        return cls(path=file.path, bytes=file.bytes, sha256=file.sha256, url=url)
