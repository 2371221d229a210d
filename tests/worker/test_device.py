"""Where models run: as `FVT_DEVICE` says, or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
import torch
from accelerate.state import AcceleratorState

from app.blobs import Blobs
from app.contract.states import Status
from app.db import Database
from app.settings import Settings
from tests.support.in_process import report_of, run, unpack
from tests.support.workers import worker_process
from worker.context import to_device


@pytest.fixture
def seeming_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU that PyTorch says is there; unless it is, whatever runs on it fails."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.slow
def test_a_worker_without_the_gpu_it_is_to_use_does_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with worker_process(settings.model_copy(update={"device": "cuda"})) as process:
        assert process.wait(60) == 1
    (line,) = (settings.data_dir / "worker.log").read_text().splitlines()
    assert line.startswith("FVT_DEVICE is cuda, but PyTorch finds no GPU here: ")
    assert line.endswith("or set FVT_DEVICE to auto.")


@pytest.mark.slow
def test_a_worker_with_fewer_gpus_than_it_is_to_use_does_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with worker_process(settings.model_copy(update={"recovery_processes": 4})) as process:
        assert process.wait(60) == 1
    (line,) = (settings.data_dir / "worker.log").read_text().splitlines()
    assert line.startswith("FVT_RECOVERY_PROCESSES is 4, but PyTorch finds 0 GPUs here")


@pytest.mark.slow
@pytest.mark.usefixtures("seeming_gpu")
def test_a_gpu_that_is_there_is_left_alone_where_asked(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    on_cpu = settings.model_copy(update={"device": "cpu"})
    wanted: dict[str, Any] = {"recovery": {"max_steps": 2}, "evaluation": {"latency": True}}
    job = run(on_cpu, db, blobs, vocab_size=0.5, **wanted)
    assert job.status == Status.SUCCEEDED, job.error
    report = report_of(unpack(job, blobs, tmp_path))
    assert report["recovery"]["device"] == "cpu"
    assert {row["device"] for row in report["latency"]} == {"cpu"}


@pytest.mark.parametrize(
    ("device", "there", "runs_on"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda"),
        # Gone since the worker started: to fail is better than to go on without it.
        ("cuda", False, "cuda"),
    ],
)
def test_the_setting_decides(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, device: str, there: bool, runs_on: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    model = create_autospec(torch.nn.Module, instance=True)
    to_device(model, settings.model_copy(update={"device": device}))
    model.to.assert_called_once_with(runs_on)
