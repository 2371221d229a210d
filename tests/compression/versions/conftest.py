from pathlib import Path

import pytest

from tests.support.environments import environment_over_this

LOCK = Path(__file__).parents[3] / "requirements-transformers4.lock"


@pytest.fixture(scope="session")
def transformers4(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment with transformers 4 over the packages of this one.

    FVT_TRANSFORMERS4_PYTHON may name one that is there. Where PyPI cannot be reached it skips, but
    in CI it fails.
    """
    return environment_over_this("transformers4", LOCK, tmp_path_factory.mktemp("transformers4"))
