"""A service with one finished job."""

from collections.abc import Iterator

import pytest

from tests.app.serving import Service, serving

ARCHIVE = bytes(range(256)) * 12_000
FILES = {
    "model.safetensors": b"weights" * 100,
    "report.json": b'{"schema_version": 1}',
    "report.html": b"<!doctype html><title>report</title>",
    "vocabulary.jsonl": b"{}\n",
    "README.md": b"# card",
    "1_Pooling/config.json": b"{}",
    "empty file.txt": b"",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """The real application on a real port."""
    with serving(tmp_path_factory.mktemp("service"), valkey) as running:
        yield running


@pytest.fixture(scope="module")
def job(service: Service) -> str:
    """The path of a job that has succeeded."""
    job_id = service.submit(name='a/b "c"\u2713..')["id"]
    service.succeed(job_id, FILES, ARCHIVE)
    return f"/v1/jobs/{job_id}"
