"""The S3 servers, and this process's credentials for them."""

from collections.abc import Iterator

import pytest

from tests.support.s3 import ObjectStore, s3_server, seaweed_server

SERVERS = {"moto": s3_server, "seaweedfs": seaweed_server}


@pytest.fixture(scope="module", params=SERVERS)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObjectStore]:
    """Each server in turn, with an empty bucket."""
    folder = tmp_path_factory.mktemp("s3")
    with SERVERS[request.param](folder) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
