"""The distribution as a stranger gets it: built, installed into a clean environment, type-checked.

These need a package index, as pip has one configured; where none answers they are skipped.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
PROGRAM = """
import asyncio
from pathlib import Path

from fvt_client import AsyncClient, Client, Job, errors


def compress(corpus: Path) -> tuple[int, str]:
    with Client("http://127.0.0.1:8000", retries=0) as client:
        job: Job = client.compress("acme/model", corpus, vocab_size=[0.5, 0.25])
        try:
            job.wait(progress=lambda job: print(job.progress.fraction))
        except errors.CorpusTooSmall as error:
            return 1, error.detail
        for event in job.events():
            print(event.type, event.data["seconds"])
        folder: Path = job.download("out", progress=lambda have, whole: print(have / whole))
        minutes: float = client.estimate("acme/model", corpus).minutes.value
        print(folder.name, minutes, [model.id for model in client.models()])
        return job.report().compressed.bytes, job.status.value


async def names() -> list[str]:
    async with AsyncClient(retries=0) as client:
        for job in await client.jobs():
            async for event in job.events(follow=False):
                print(event.id)
        return [job.id for job in await client.jobs()]


if __name__ == "__main__":
    try:
        print(asyncio.run(names()))
    except errors.UnreachableError as error:
        print("away:", error)
"""
WRONG = "\nreveal: int = Client().jobs()[0].base_model\n"

pytestmark = pytest.mark.slow


def python(executable: Path | str, *args: str, **environment: str) -> str:
    """Run an interpreter without this one's paths; returns what it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FVT_"))}
    done = subprocess.run(
        [str(executable), *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=clean | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, *PIP, "wheel", "--no-deps", "--wheel-dir", str(folder)]
    done = subprocess.run(
        [*command, str(ROOT / "client")], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("no package index answers: hatchling cannot be had")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def interpreters() -> Iterator[str]:
    """Every Python from 3.10 on that this machine can start."""
    for minor in range(10, 15):
        found = shutil.which(f"python3.{minor}")
        if (
            found
            and not subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode
        ):
            yield found


def installed(wheel: Path, folder: Path, executable: str, extra: str = "") -> Path:
    """Install the wheel into a clean environment; returns its interpreter."""
    python(executable, "-m", "venv", str(folder))
    inside = folder / "bin" / "python"
    python(inside, *PIP, "install", f"{wheel}{extra}")
    return inside


def test_a_wheel_holds_the_contract_and_not_a_link_to_it(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        contract = archive.read("fvt_client/contract/jobs.py")
    assert contract == (ROOT / "app" / "contract" / "jobs.py").read_bytes()
    assert "fvt_client/py.typed" in names
    here = {path.name for path in (ROOT / "app" / "contract").glob("*.py")}
    assert {f"fvt_client/contract/{name}" for name in here} <= names


@pytest.mark.parametrize("executable", list(interpreters()))
def test_a_clean_environment_has_few_packages(wheel: Path, tmp_path: Path, executable: str) -> None:
    inside = installed(wheel, tmp_path / "clean", executable)
    listed = python(inside, *PIP, "list", "--format", "freeze").split()
    packages = {line.partition("==")[0] for line in listed} - {"pip", "setuptools"}
    assert len(packages) <= 13, packages
    site = next((tmp_path / "clean" / "lib").glob("python*/site-packages"))
    ours = [path for path in site.rglob("*") if path.is_file() and not is_pip(path, site)]
    assert sum(path.stat().st_size for path in ours) < 25_000_000
    (tmp_path / "program.py").write_text(PROGRAM)
    said = python(inside, str(tmp_path / "program.py"), FVT_URL="http://127.0.0.1:9")
    assert said.startswith("away: No answer from http://127.0.0.1:9")
    refused = subprocess.run([inside.with_name("fvt")], capture_output=True, text=True, check=False)
    assert "pip install 'fvt-client[cli]'" in refused.stderr


def is_pip(path: Path, site: Path) -> bool:
    return path.relative_to(site).parts[0].startswith(("pip", "setuptools", "pkg_resources"))


def test_the_command_line_without_the_service(wheel: Path, tmp_path: Path) -> None:
    inside = installed(wheel, tmp_path / "cli", sys.executable, "[cli]")
    assert "compress" in python(inside, "-m", "fvt_client.cli", "-h")
    (tmp_path / "corpus.txt").write_text("a text\n")
    files = ("--corpus", str(tmp_path / "corpus.txt"), "--out", str(tmp_path / "out"))
    refused = subprocess.run(
        [inside.with_name("fvt"), "compress", "--model", "acme/model", *files],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith(("FVT_", "PYTHON"))},
    )
    assert refused.returncode == 1
    assert "pip install 'fvt-service[worker,local]'" in refused.stderr


def test_a_user_s_program_passes_strict_mypy(wheel: Path, tmp_path: Path) -> None:
    inside = installed(wheel, tmp_path / "typed", sys.executable)
    (tmp_path / "program.py").write_text(PROGRAM)
    check = ("-m", "mypy", "--strict", "--python-executable", str(inside), "--python-version")
    python(sys.executable, *check, "3.11", str(tmp_path / "program.py"))
    (tmp_path / "program.py").write_text(PROGRAM + WRONG)
    with pytest.raises(AssertionError, match="Incompatible types in assignment"):
        python(sys.executable, *check, "3.11", str(tmp_path / "program.py"))


def test_an_archive_of_the_sources_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    python(sys.executable, "-m", "venv", str(tmp_path / "build"))
    inside = tmp_path / "build" / "bin" / "python"
    python(inside, *PIP, "install", "hatchling")
    subprocess.run(
        [inside, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path],
        cwd=ROOT / "client",
        check=True,
        capture_output=True,
    )
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        assert all(member.isfile() or member.isdir() for member in tar)
    made = tmp_path / "made"
    python(inside, *PIP, "wheel", "--no-deps", "--wheel-dir", str(made), str(archive))
    with ZipFile(wheel) as first, ZipFile(next(made.glob("*.whl"))) as second:
        names = {name: first.read(name) for name in first.namelist()}
        assert names == {name: second.read(name) for name in second.namelist()}
