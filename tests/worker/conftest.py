"""A job store and blobs on fresh folders, and jobs to run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from app.settings import Settings
from tests.support.job_store import open_store
from tests.support.servers import valkey_server
from tests.support.tiny_models import make_base_model


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """A server of the module's own: a worker would answer what other tests sent."""
    yield from valkey_server()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small base model, `acme/tiny-bert`; not to be changed."""
    folder = tmp_path_factory.mktemp("models")
    make_base_model(folder / "acme" / "tiny-bert")
    return folder


@pytest.fixture
def settings(settings: Settings, models: Path) -> Settings:
    return settings.model_copy(update={"models_dir": models})


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    yield from open_store(settings.database_url)


@pytest.fixture
def blobs(settings: Settings) -> Blobs:
    return Blobs(settings.blobs_url)


@pytest.fixture
def job(db: Database) -> Job:
    """A queued job on a corpus that nobody uploaded."""
    return submit(db, "corpus_none")


def submit(db: Database, corpus_id: str, recipe: Recipe = Recipe()) -> Job:  # noqa: B008
    job = Job(
        base_model="sentence-transformers/all-MiniLM-L6-v2",
        corpus_id=corpus_id,
        recipe=recipe.model_dump(),
        labels={},
        max_attempts=3,
    )
    with db.write() as session:
        transitions.submit(session, job)
    return job
