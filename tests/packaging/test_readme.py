"""The walk-through of the README works word for word against `fvt up`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.commands import running_up

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    """The code blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_walk_through(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # What is run is the text; how good its models become is measured by the benchmarks.
    with running_up(tmp_path / "fvt-data", FVT_MAX_RECOVERY_MINUTES="0.5") as up:

        def run(*command: str) -> None:
            subprocess.run(
                [part.replace(URL, up.url) for part in command],
                cwd=tmp_path,
                env=environment,
                check=True,
                timeout=1200,
            )

        run("bash", "-euo", "pipefail", "-c", "\n".join(blocks("bash")[:2]))
        for snippet in blocks("python"):
            run(sys.executable, "-c", snippet)
        jobs = httpx.get(f"{up.url}/v1/jobs").json()["data"]
    assert [job["status"] for job in jobs] == ["succeeded"] * 3
    for folder in ("compressed", "compressed-by-python"):
        assert (tmp_path / folder / "model.safetensors").is_file()
