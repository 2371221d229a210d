"""`fvt up`: it becomes ready, refuses what cannot work, and leaves no process behind."""

import signal
import socket
from pathlib import Path

import httpx
import pytest

from app.cli.local import settings
from tests.support.commands import fvt, running_up


@pytest.mark.slow
def test_ctrl_c_ends_everything_in_good_order(tmp_path: Path) -> None:
    foreign = tmp_path / "app"  # a user's own package beside the data folder is not ours
    foreign.mkdir()
    (foreign / "__init__.py").write_text("raise RuntimeError('not yours')")
    with running_up(tmp_path / "data dir") as up:
        assert httpx.get(f"{up.url}/readyz").is_success
        assert httpx.get(f"{up.url}/v1/jobs").is_success
        assert up.named("valkey-server")
        assert up.named("app.server")
        assert up.named("celery")

        second = fvt("up", "--port", "0", "--data-dir", tmp_path / "data dir")
        assert second.returncode == 1
        assert up.url in second.stderr

        code, said = up.end(signal.SIGINT)
        assert code == 0, said
        assert up.survivors(within=0) == []


@pytest.mark.slow
def test_nothing_outlives_a_killed_parent_and_the_folder_can_be_used_again(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_up(data_dir) as up:
        up.end(signal.SIGKILL)
        assert up.survivors(within=30) == []
    with running_up(data_dir) as up:
        up.named("celery -A")[0].kill()
        said = "".join(up.process.communicate(timeout=180))
        assert up.process.returncode == 1
        assert "The worker ended with exit code 137" in said
        assert up.survivors(within=0) == []


def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = fvt("up", "--port", str(port), "--data-dir", tmp_path)
    assert refused.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use" in refused.stderr


def test_a_name_that_is_listened_on_is_answered_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FVT_AUTH", "off")
    assert settings("box.lan", tmp_path, None)["FVT_ALLOWED_HOSTS"] == '["box.lan"]'
    assert "FVT_ALLOWED_HOSTS" not in settings("0.0.0.0", tmp_path, None)
    monkeypatch.setenv("FVT_ALLOWED_HOSTS", '["fvt.example.com"]')
    allowed = settings("box.lan", tmp_path, None)["FVT_ALLOWED_HOSTS"]
    assert allowed == '["fvt.example.com", "box.lan"]'


@pytest.mark.parametrize("keys", [{}, {"FVT_API_KEYS": "[]"}])
def test_other_machines_are_served_only_with_keys(tmp_path: Path, keys: dict[str, str]) -> None:
    refused = fvt("up", "--host", "0.0.0.0", "--data-dir", tmp_path, **keys)
    assert refused.returncode == 1
    assert "FVT_API_KEYS" in refused.stderr


@pytest.mark.slow
def test_a_worker_that_lacks_its_gpu_ends_the_service_and_says_why(tmp_path: Path) -> None:
    hidden = {"FVT_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": ""}
    refused = fvt("up", "--port", "0", "--data-dir", tmp_path, **hidden)
    assert refused.returncode == 1
    assert "The worker ended with exit code 1" in refused.stderr
    assert "set FVT_DEVICE to auto" in refused.stderr
