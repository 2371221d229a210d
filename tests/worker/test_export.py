"""Exports in whole jobs."""

import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from transformers import AutoTokenizer

from app.blobs import Blobs
from app.contract.states import Status
from app.db import Database
from app.settings import Settings
from tests.support.in_process import report_of, run, unpack
from worker import runner
from worker.compression import runtimes
from worker.compression.evaluation import latency as timing
from worker.compression.runtimes import RUNTIMES
from worker.context import JobContext
from worker.stages import STAGES


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time few texts, and leave out the stage that starts a process a model."""
    torch.set_num_threads(1)
    monkeypatch.setattr(timing, "_TEXTS", 4)
    monkeypatch.setattr(runner, "STAGES", [s for s in STAGES if s.name != "check"])


@pytest.mark.slow
def test_every_size_of_a_sweep_is_exported_and_measured(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    recipe: dict[str, Any] = {"vocab_size": [300, 240], "export": {"int8": True}}
    job = run(settings, db, blobs, **recipe, evaluation={"latency": True})
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    for row in report["sweep"]:
        assert [export["runtime"] for export in row["exports"]] == ["onnx", "onnx-int8"]
        for export in row["exports"]:
            file = folder / row["path"] / export["path"]
            assert file.stat().st_size == export["bytes"]
            metrics = [quality["metric"] for quality in export["quality"]]
            assert metrics == [quality["metric"] for quality in row["quality"]]
        plain, int8 = (export["quality"][0]["after"] for export in row["exports"])
        assert plain == pytest.approx(row["quality"][0]["after"], abs=1e-4)
        assert int8 == pytest.approx(plain, abs=0.1)
    assert report["exports"] == report["sweep"][0]["exports"]
    timed = [(row["runtime"], row["batch_size"]) for row in report["latency"][2:]]
    assert timed == [(name, n) for name in ("onnx", "onnx-int8") for n in (1, 32)]
    assert {row["before_ms"] for row in report["latency"][2::2]} == {
        report["latency"][2]["before_ms"]
    }
    assert job.result
    assert job.result["speedup"]["1"] == round(report["latency"][0]["speedup"], 3)
    hashed = {file["path"] for file in json.loads((folder / "manifest.json").read_text())["files"]}
    assert {"onnx/model_int8.onnx", "sizes/240/onnx/model.onnx"} <= hashed
    check_card(folder)


def check_card(folder: Path) -> None:
    """What the model card says works as it stands there."""
    card = (folder / "README.md").read_text()
    assert "onnx/model_int8.onnx" in card
    tokenizer = AutoTokenizer.from_pretrained(folder)
    session = onnxruntime.InferenceSession(folder / "onnx" / "model_int8.onnx")
    batch = tokenizer(["babe bibo", "ba"], padding=True, return_tensors="np")
    (output,) = session.run(None, {i.name: batch[i.name] for i in session.get_inputs()})
    assert output.shape[0] == 2


@pytest.mark.slow
def test_openvino_files_are_calibrated_and_measured(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    recipe: dict[str, Any] = {"vocab_size": 300, "export": {"openvino_int8": True}}
    job = run(settings, db, blobs, **recipe, evaluation={"latency": True})
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report, wanted = report_of(folder), ["openvino", "openvino-int8"]
    assert [export["runtime"] for export in report["exports"]] == wanted
    plain, int8 = (export["quality"][0]["after"] for export in report["exports"])
    assert plain == pytest.approx(report["quality"][0]["after"], abs=0.02)
    assert int8 == pytest.approx(plain, abs=0.1)
    rows = [(row["runtime"], row["batch_size"]) for row in report["latency"][2:]]
    assert rows == [(name, n) for name in wanted for n in (1, 32)]
    hashed = {file["path"] for file in json.loads((folder / "manifest.json").read_text())["files"]}
    assert {path for name in wanted for path in RUNTIMES[name].row.paths} <= hashed
    assert "openvino/openvino_model_qint8_quantized.xml" in (folder / "README.md").read_text()
    assert not (folder / "onnx").exists()


@pytest.mark.parametrize(
    "recipe",
    [{"export": {"openvino": True}}, {"target": {"min_quality": 0.5, "runtime": "openvino-int8"}}],
    ids=["export", "target"],
)
def test_a_runtime_that_this_worker_lacks_fails_the_job_before_its_base_is_loaded(
    settings: Settings,
    db: Database,
    blobs: Blobs,
    monkeypatch: pytest.MonkeyPatch,
    recipe: dict[str, Any],
) -> None:
    others = {name: one for name, one in RUNTIMES.items() if not name.startswith("openvino")}
    monkeypatch.setattr(runtimes, "RUNTIMES", others)
    located: list[object] = []
    monkeypatch.setattr(JobContext, "locate", lambda *given: located.append(given))
    job = run(settings, db, blobs, **recipe)
    assert (job.status, located) == (Status.FAILED, [])
    assert job.error
    assert job.error["code"] == "export_unsupported"
    assert "This worker has no OpenVINO" in job.error["message"]
    assert "pip install 'fvt-service[worker,openvino]'" in job.error["message"]


def test_without_being_asked_nothing_is_exported(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    job = run(settings, db, blobs, vocab_size=300, evaluation={"latency": False})
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    assert not (folder / "onnx").exists()
    assert (report["exports"], "onnx" in (folder / "README.md").read_text()) == ([], False)
    assert report["memory"] == []
