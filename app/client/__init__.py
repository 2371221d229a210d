"""A client of the HTTP API: `FvtClient`."""

from app.client.client import FvtClient
from app.client.errors import ApiError, ClientError, DownloadError, UnreachableError, UploadError
from app.contract.base_models import BaseModelView as BaseModelInfo
from app.contract.corpora import CorpusView as Corpus
from app.contract.jobs import ArtifactView as Artifact
from app.contract.jobs import EventView as Event
from app.contract.jobs import JobView as Job
from app.contract.jobs import Progress

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
