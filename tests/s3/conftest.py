"""The S3 servers, and this process's credentials for them."""

from collections.abc import Iterator

import pytest

from tests.support.s3 import ObjectStore, s3_server, seaweed_server

SERVERS = {"moto": s3_server, "seaweedfs": seaweed_server}


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObjectStore]:
    """Each server in turn."""
    folder = tmp_path_factory.mktemp("s3")
    with SERVERS[request.param](folder) as made, pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made


@pytest.fixture
def store(server: ObjectStore) -> Iterator[ObjectStore]:
    """A server with an empty bucket, whatever the test before left."""
    yield server
    server.clear()
