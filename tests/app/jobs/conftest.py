"""A migrated job store, on SQLite and on PostgreSQL, and jobs in it."""

from collections.abc import Iterator

import pytest

from app.contract.recipe import Recipe
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from tests.app.postgres import fresh_database, postgres
from tests.app.serving import Service, serving

__all__ = ["postgres"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def db(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with the schema in it, one for all tests of a module."""
    if request.param == "sqlite":
        yield from _migrated(f"sqlite:///{tmp_path_factory.mktemp('db') / 'fvt.db'}")
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield from _migrated(url)


def _migrated(url: str) -> Iterator[Database]:
    database = Database(url)
    database.migrate()
    yield database
    database.close()


def add_job(db: Database, max_attempts: int = 3) -> str:
    """Submit a job; returns its id."""
    with db.write() as session:
        job = Job(
            base_model="org/model",
            corpus_id="corpus_1",
            recipe=Recipe().model_dump(),
            labels={},
            max_attempts=max_attempts,
        )
        transitions.submit(session, job)
    return job.id


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """The real application on a real port."""
    with serving(tmp_path_factory.mktemp("service"), valkey) as running:
        yield running
