"""What all tests share: a real Valkey, and settings on fresh folders."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from app.settings import Settings
from tests.support.servers import local_settings, valkey_server

os.environ["HF_HUB_OFFLINE"] = "1"
# Several tests run at once: with more threads than cores, all would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes is up to what else the machine does.
hypothesis_settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("untimed")

# A shell's job in the background ignores Ctrl-C, and so would every command that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    yield from valkey_server()


@pytest.fixture
def settings(tmp_path: Path, valkey: str) -> Settings:
    return local_settings(tmp_path, valkey)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest: all else would wait for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their length: a compressed file holds the time at which it was made.

    All processes that share the tests must call them the same.
    """
    return f"{argname}-{len(val)}" if isinstance(val, bytes) else None
