"""The real application on a real port, and a result to download."""

import io
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fvt_client import Client
from tests.support.serving import Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """One service for all tests of a module, without authentication."""
    with serving(tmp_path_factory.mktemp("service"), valkey) as running:
        yield running


@pytest.fixture(scope="module")
def url(service: Service) -> str:
    return str(service.http.base_url)


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def packed(weights: bytes) -> bytes:
    """A result of one large file."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=0) as tar:
        entry = tarfile.TarInfo("model-fvt/model.safetensors")
        entry.size = len(weights)
        tar.addfile(entry, io.BytesIO(weights))
    return sink.getvalue()


WEIGHTS = random.Random(0).randbytes(3_000_000)
ARCHIVE = packed(WEIGHTS)


@pytest.fixture
def finished(service: Service) -> str:
    """The id of a job with a result of 3 MB."""
    job_id = str(service.submit()["id"])
    service.succeed(job_id, {"model.safetensors": WEIGHTS}, ARCHIVE)
    return job_id


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    """Two megabytes of text that no other test sends."""
    path = tmp_path / "corpus.txt"
    words = random.Random(str(tmp_path))
    lines = (f"The patient {words.random()} took {n} mg.\n" for n in range(50_000))
    path.write_text("".join(lines))
    return path
