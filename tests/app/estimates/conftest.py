"""The real application on both databases, with a models folder."""

from collections.abc import Iterator

import pytest

from tests.support.postgres import fresh_database, postgres
from tests.support.serving import Service, serving
from tests.support.sound_model import make_sound

__all__ = ["postgres"]

SOUND = "org/sound"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, valkey: str
) -> Iterator[Service]:
    """One service for all tests of a module, without authentication."""
    folder = tmp_path_factory.mktemp("service")
    make_sound(folder / "models" / SOUND)
    more = {"models_dir": folder / "models"}
    if request.param == "sqlite":
        with serving(folder, valkey, **more) as running:
            yield running
    else:
        with (
            fresh_database(request.getfixturevalue("postgres")) as url,
            serving(folder, valkey, database_url=url, **more) as running,
        ):
            yield running
