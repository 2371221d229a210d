"""A job store on both databases, files in a folder and on S3, and a reaper of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.blobs import Blobs
from app.db import Database
from app.maintenance.reaper import Reaper
from app.settings import Settings
from tests.support.job_store import open_store
from tests.support.postgres import fresh_database, postgres
from tests.support.s3 import ObjectStore, s3_server

__all__ = ["postgres"]

SLOW = (("sqlite", "s3"), ("postgresql", "folder"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave two of the four pairs of a database and a storage to the slow suite."""
    for item in items:
        values = getattr(getattr(item, "callspec", None), "params", {})
        is_ours = Path(__file__).parent in item.path.parents
        if is_ours and (values.get("db"), values.get("blobs")) in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of the test's own, with the schema in it."""
    if request.param == "sqlite":
        yield from open_store(f"sqlite:///{tmp_path / 'fvt.db'}")
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield from open_store(url)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """Storage of the test's own."""
    if request.param == "folder":
        return Blobs((tmp_path / "blobs").as_uri())
    running: ObjectStore = request.getfixturevalue("object_store")
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return Blobs(f"{running.url}/{tmp_path.name}")


@pytest.fixture
def reaper(db: Database, blobs: Blobs, settings: Settings) -> Reaper:
    """Have gone its first round, as an API does when it starts."""
    reaper = Reaper(db, blobs, settings)
    assert reaper.round()
    return reaper


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, abandoned_seconds=3600)
