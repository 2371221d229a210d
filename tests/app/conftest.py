"""The real application on a real port."""

from collections.abc import Iterator

import pytest

from tests.support.serving import Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """One service for all tests of a module, without authentication."""
    with serving(tmp_path_factory.mktemp("service"), valkey) as running:
        yield running
