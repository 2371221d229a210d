"""A client of the FVT Service, which compresses language models: `Client` and `AsyncClient`.

with Client("http://127.0.0.1:8000") as client:
    job = client.compress("sentence-transformers/all-MiniLM-L6-v2", "corpus.txt")
    job.wait().download("compressed")
"""

from . import errors
from ._version import __version__
from .aio import AsyncClient, AsyncJob
from .client import Client, Job
from .contract.base_models import BaseModelView
from .contract.corpora import CorpusView
from .contract.estimate import Estimate
from .contract.events import EVENTS
from .contract.jobs import ArtifactFileView, EventView, JobView, Progress
from .contract.recipe import Recipe
from .contract.report import Report
from .contract.states import Status
from .errors import FvtError
from .verify import Verification, verify

__all__ = [
    "EVENTS",
    "ArtifactFileView",
    "AsyncClient",
    "AsyncJob",
    "BaseModelView",
    "Client",
    "CorpusView",
    "Estimate",
    "EventView",
    "FvtError",
    "Job",
    "JobView",
    "Progress",
    "Recipe",
    "Report",
    "Status",
    "Verification",
    "__version__",
    "errors",
    "verify",
]
