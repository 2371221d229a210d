"""A result in a real MLflow registry: registered, loaded back by MLflow alone, predicting."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.environments import environment_over_this
from tests.support.reports import full_report
from tests.support.s3 import free_ports
from tests.support.st_folders import (
    compressed,
    cross_encoder,
    encoded,
    sentence_encoder,
    transformers_folder,
)
from worker.compression import Provenance, write_manifest, write_model_card, write_report

LOCK = Path(__file__).parents[2] / "requirements-mlflow.lock"
TEXTS = ["one two three", "four"]
LOAD = """
import json, sys
import mlflow, pandas

model = mlflow.pyfunc.load_model(sys.argv[1])
made = model.predict(pandas.DataFrame(json.load(sys.stdin)))
json.dump(made.to_dict("list") if hasattr(made, "to_dict") else made.tolist(), sys.stdout)
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def mlflow_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment with MLflow over the packages of this one.

    FVT_MLFLOW_PYTHON may name one that is there. Where PyPI cannot be reached it skips, but in CI
    it fails.
    """
    return environment_over_this("mlflow", LOCK, tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="module")
def registry(mlflow_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server, with its database and its files in a folder of its own."""
    folder, [port] = tmp_path_factory.mktemp("registry"), free_ports(1)
    command = [mlflow_python, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "files")]
    # Its jobs need a queue of tasks that no registry does.
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | settings, start_new_session=True
        )
    try:
        wait_for(url, process, folder / "log")
        yield url
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    pytest.fail(log.read_text()[-2000:])


def run(python: str, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **more.pop("env", {})}
    return subprocess.run(
        [python, "-W", "ignore", *args],
        capture_output=True, text=True, check=False, env=environment, timeout=600, **more,
    )  # fmt: skip


def push(python: str, folder: Path, target: str, url: str) -> subprocess.CompletedProcess[str]:
    where = {"MLFLOW_TRACKING_URI": url}
    return run(python, "-m", "fvt_client.cli", "push", str(folder), target, "--json", env=where)


def make_result(base: Path, folder: Path) -> Path:
    compressed(base, folder)
    report = full_report()
    write_report(folder, report)
    write_model_card(folder, report)
    write_manifest(folder, Provenance(report.base_model.id, None, "a" * 64, 0))
    return folder


def test_it_is_registered_loaded_back_and_predicts(
    registry: str, mlflow_python: str, tmp_path: Path
) -> None:
    folder = make_result(sentence_encoder(tmp_path / "base"), tmp_path / "result")
    done = push(mlflow_python, folder, "mlflow://small", registry)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["uri"] == "models:/small/1"
    # The same result is no second version.
    again = push(mlflow_python, folder, "models:/small", registry)
    assert json.loads(again.stdout)["uri"] == "models:/small/1", again.stderr
    where = {"MLFLOW_TRACKING_URI": registry}
    loaded = run(
        mlflow_python, "-c", LOAD, "models:/small/1", input=json.dumps({"text": TEXTS}), env=where
    )
    assert loaded.returncode == 0, loaded.stderr
    np.testing.assert_allclose(json.loads(loaded.stdout), encoded(folder, TEXTS), atol=1e-5)


def test_a_server_that_is_away_or_not_named(mlflow_python: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"files": []}')
    away = push(mlflow_python, tmp_path, "mlflow://small", "http://127.0.0.1:9")
    assert away.returncode == 1
    assert "The MLflow server at http://127.0.0.1:9 does not answer" in away.stderr
    unnamed = push(mlflow_python, tmp_path, "mlflow://small", "")
    assert unnamed.returncode == 1
    assert "Set MLFLOW_TRACKING_URI" in unnamed.stderr
    nameless = push(mlflow_python, tmp_path, "models:/small/3", "http://127.0.0.1:9")
    assert "is no name of a registered model" in nameless.stderr


PREDICT = """
import json, sys, types
from fvt_client.pushing import registry_model as made

role, folder = sys.argv[1:]
model = made.CompressedModel()
model.load_context(types.SimpleNamespace(model_config={"role": role}, artifacts={"model": folder}))
found = model.predict(None, json.load(sys.stdin))
json.dump(found.to_dict("list") if hasattr(found, "to_dict") else found.tolist(), sys.stdout)
"""
ROLES: dict[str, Any] = {
    "cross_encoder": lambda folder: cross_encoder(folder, "BertForSequenceClassification"),
    "classifier": lambda folder: transformers_folder(
        folder, "BertForSequenceClassification", num_labels=3
    ),
    "encoder": transformers_folder,
    "language_model": lambda folder: transformers_folder(folder, "LlamaForCausalLM"),
}


@pytest.mark.parametrize("role", ROLES)
def test_every_use_of_a_model_predicts(role: str, mlflow_python: str, tmp_path: Path) -> None:
    folder = ROLES[role](tmp_path / "model")
    rows = {"text": TEXTS} | ({"text_pair": TEXTS} if role == "cross_encoder" else {})
    found = run(mlflow_python, "-c", PREDICT, role, str(folder), input=json.dumps(rows))
    assert found.returncode == 0, found.stderr
    made = json.loads(found.stdout)
    if role == "classifier":
        assert set(made) == {"label", "score"}
        assert all(0 < score <= 1 for score in made["score"])
    elif role == "language_model":
        assert len(made["text"]) == len(TEXTS)
    else:
        assert np.isfinite(made).all()
        assert len(made) == len(TEXTS)
