"""The bundle in the tree is what the sources make."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
STATIC = ROOT / "app" / "page" / "static"

pytestmark = pytest.mark.slow


def run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=WEB, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


@pytest.fixture(autouse=True)
def tools() -> None:
    if not shutil.which("npm"):
        pytest.skip("no node is installed (Debian: apt-get install nodejs npm)")
    if not (WEB / "node_modules" / ".package-lock.json").exists():
        pytest.skip("the tools of web/ are not installed (npm ci --prefix web)")


def test_the_bundle_is_what_the_sources_make(tmp_path: Path) -> None:
    run("node", "build.mjs", str(tmp_path))
    assert contents(tmp_path) == contents(STATIC)


def test_the_sources_agree_with_the_contract() -> None:
    run("npm", "run", "check")
