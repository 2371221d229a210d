"""Environments of other packages over those of this one."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest


def environment_over_this(name: str, lock: Path, folder: Path) -> str:
    """Return the Python of an environment with the packages of `lock` before those of this one.

    FVT_NAME_PYTHON may name one that is there. Where PyPI cannot be reached the test skips, but in
    CI it fails.
    """
    if ready := os.environ.get(f"FVT_{name.upper()}_PYTHON"):
        return ready
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(lock)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = f"{name} cannot be installed: {done.stderr[-300:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # After its own packages, so that only what it lacks comes from here: torch and the like, and
    # what is installed here as a link to its sources.
    own = folder / "lib" / version / "site-packages" / "shared.pth"
    shared = sysconfig.get_path("purelib")
    own.write_text(f"import site; site.addsitedir({shared!r})\n", encoding="utf-8")
    return python
