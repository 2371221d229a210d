"""The examples that people copy: each runs here, at a real service whose worker is this test."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.contract.errors import JobError
from app.jobs import transitions
from examples.pipeline import compress_and_push
from fvt_client.verify import sha256_of, verify
from tests.support.reports import full_report
from tests.support.s3 import BUCKET, s3_server
from tests.support.serving import Service

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


def packed(folder: Path) -> tuple[dict[str, bytes], bytes]:
    """A small result with its manifest: its files, and the archive of them."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "report.json").write_text(full_report().model_dump_json())
    listed = [
        {"path": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in folder.iterdir()
    ]
    (folder / "manifest.json").write_text(json.dumps({"files": listed}))
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        tar.add(folder, "model-fvt")
    return {path.name: path.read_bytes() for path in folder.iterdir()}, sink.getvalue()


@contextmanager
def working(service: Service, folder: Path, *, missing_gate: bool = False) -> Iterator[list[str]]:
    """End every job that is queued, as a worker does; gives their ids."""
    files, archive = packed(folder)
    done, stop = list[str](), threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            for job in service.http.get("/v1/jobs", params={"status": "queued"}).json()["data"]:
                done.append(job["id"])
                if missing_gate:
                    why = JobError(
                        type="user", code="gate_not_met", message="Too little.", retryable=False
                    )
                    transitions.fail(service.db, service.claim(job["id"]), why)
                else:
                    service.succeed(job["id"], files, archive)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def environment(url: str, **more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FVT_")}
    return {**kept, "PATH": path, "FVT_URL": url, **more}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"{tmp_path.name} took {n} mg of naproxen.\n" for n in range(500)))
    return path


def test_curl(service: Service, url: str, corpus: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.tar.gz"
    command = ["bash", str(EXAMPLES / "curl.sh"), str(corpus), str(result)]
    with working(service, tmp_path / "made") as done:
        ran = subprocess.run(
            command, check=False, env=environment(url), capture_output=True, text=True, timeout=120
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == done
    with tarfile.open(result) as tar:
        assert "model-fvt/manifest.json" in tar.getnames()
    refused = subprocess.run(
        command,
        check=False,
        env=environment(url, MODEL="acme/none"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert refused.returncode != 0


def steps() -> list[str]:
    """Return what the workflow runs in a shell, without installing: the client is here."""
    content: Any = yaml.safe_load((EXAMPLES / "ci/github-actions.yml").read_text())
    lines = [step["run"] for step in content["jobs"]["compress"]["steps"] if "run" in step]
    assert lines[0].startswith("pip install 'fvt-client[cli")
    return lines[1:]


@pytest.mark.parametrize("missing_gate", [False, True])
def test_the_gate_of_github_actions(
    service: Service, url: str, corpus: Path, tmp_path: Path, missing_gate: bool
) -> None:
    content: Any = yaml.safe_load((EXAMPLES / "ci/github-actions.yml").read_text())
    model = content["jobs"]["compress"]["env"]["MODEL"]
    with (
        s3_server(tmp_path) as store,
        working(service, tmp_path / "made", missing_gate=missing_gate),
    ):
        target = f"s3://{BUCKET}/gated"
        set_ = environment(url, MODEL=model, TARGET=target, **store.environment)
        codes = []
        for line in steps():
            # As GitHub runs a step; the first that fails ends the job.
            ran = subprocess.run(
                ["bash", "-e", "-c", line], cwd=corpus.parent, env=set_, check=False, timeout=200
            )
            codes.append(ran.returncode)
            if ran.returncode:
                break
        listed = store.client().list_objects_v2(Bucket=BUCKET).get("Contents", [])
    assert codes == ([4] if missing_gate else [0, 0, 0])
    assert len(listed) == (0 if missing_gate else 3)


def test_the_step_of_a_pipeline(
    service: Service, url: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FVT_URL", url)
    with s3_server(tmp_path) as store, working(service, tmp_path / "made") as done:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        model, target = "sentence-transformers/all-MiniLM-L6-v2", f"s3://{BUCKET}/step"
        first = compress_and_push(model, str(corpus), target, run_id="1")
        # A scheduler that runs the step again gets the same job.
        assert compress_and_push(model, str(corpus), target, run_id="1") == first
    assert done == [first["job"]]
    assert first["uri"] == target


def test_the_notebook(service: Service, url: str, tmp_path: Path) -> None:
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with working(service, tmp_path / "made"):
        subprocess.run(
            [sys.executable, "-c", "\n".join(cells)],
            cwd=tmp_path, env=environment(url), check=True, timeout=200,
        )  # fmt: skip
    assert not verify(tmp_path / "compressed").faults
    assert all(not cell.get("outputs") for cell in notebook["cells"])
    shutil.rmtree(tmp_path / "compressed")
