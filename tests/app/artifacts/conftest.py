"""A service with one finished job."""

from collections.abc import Iterator

import pytest

from tests.support.results import ARCHIVE, FILES
from tests.support.serving import Service, serving


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
