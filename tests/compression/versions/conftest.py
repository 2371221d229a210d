import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

LOCK = Path(__file__).parents[3] / "requirements-transformers4.lock"


@pytest.fixture(scope="session")
def transformers4(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment with transformers 4 over the packages of this one.

    FVT_TRANSFORMERS4_PYTHON may name one that is there. Where PyPI cannot be reached it skips, but
    in CI it fails.
    """
    if ready := os.environ.get("FVT_TRANSFORMERS4_PYTHON"):
        return ready
    folder = tmp_path_factory.mktemp("transformers4")
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(LOCK)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = f"transformers 4 cannot be installed: {done.stderr[-300:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # After its own packages, so that only what it lacks comes from here: torch and the like.
    own = folder / "lib" / version / "site-packages" / "shared.pth"
    own.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python
