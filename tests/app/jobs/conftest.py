"""A migrated job store, on SQLite and on PostgreSQL, and jobs in it."""

from collections.abc import Iterator

import pytest

from app.db import Database
from tests.support.job_store import open_store
from tests.support.postgres import fresh_database, postgres
from tests.support.serving import Service, serving

__all__ = ["postgres"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def db(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with the schema in it, one for all tests of a module."""
    if request.param == "sqlite":
        yield from open_store(f"sqlite:///{tmp_path_factory.mktemp('db') / 'fvt.db'}")
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield from open_store(url)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """The real application on a real port."""
    with serving(tmp_path_factory.mktemp("service"), valkey) as running:
        yield running
