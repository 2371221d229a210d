"""The real application on both databases, with a models folder."""

from collections.abc import Iterator

import pytest

from tests.support.postgres import postgres
from tests.support.serving import Service, serving_on
from tests.support.some_slow import some_slow
from tests.support.sound_model import make_sound

__all__ = ["postgres"]

SOUND = "org/sound"


@pytest.fixture(scope="module", params=some_slow(["sqlite", "postgresql"], fast={"sqlite"}))
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, valkey: str
) -> Iterator[Service]:
    """One service for all tests of a module, without authentication."""
    folder = tmp_path_factory.mktemp("service")
    make_sound(folder / "models" / SOUND)
    more = {"models_dir": folder / "models"}
    with serving_on(request, folder, valkey, **more) as running:
        yield running
