"""A client of the HTTP API: `FvtClient`."""

from app.client.client import FvtClient
from app.client.errors import ApiError, ClientError, DownloadError, UnreachableError, UploadError
from app.client.models import Artifact, BaseModelInfo, Corpus, Event, Job, Progress

__all__ = [
    "ApiError",
    "Artifact",
    "BaseModelInfo",
    "ClientError",
    "Corpus",
    "DownloadError",
    "Event",
    "FvtClient",
    "Job",
    "Progress",
    "UnreachableError",
    "UploadError",
]
