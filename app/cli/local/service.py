"""Local mode: Valkey, the API and one worker as children of this process."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import httpx

from app.cli.local import commands
from app.cli.local.child import Child
from app.cli.local.errors import LocalServiceError
from app.cli.local.lock import lock, sign
from app.cli.local.ports import reserve, url_of

READY_SECONDS = 120
POLL_SECONDS = 0.2


class LocalService:
    """The whole service on this machine while the block runs; ready at its start.

    With `api_key` only that key is let in; else as the environment says, and without any keys
    there only a loopback `host` is served, openly. Port 0 takes a free one.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        api_key: str | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.url = ""
        self._host, self._port = host, port
        self._env = commands.settings(host, self.data_dir, api_key)
        self._children: list[Child] = []
        self._socket_dir: Path | None = None

    @property
    def logs(self) -> Path:
        """Where each process writes its own log."""
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
        self._add("API", commands.api(self._host, self._port), grace=10)
        self._add("worker", commands.worker(), grace=10)

    def _start_broker(self) -> None:
        # A socket's path may have 107 bytes at most, 103 on macOS: too few for many a data folder.
        self._socket_dir = Path(tempfile.mkdtemp(prefix="fvt-", dir="/tmp"))
        socket, store = self._socket_dir / "valkey.sock", self.data_dir / "broker"
        store.mkdir(exist_ok=True)
        self._env = {**self._env, "FVT_BROKER_URL": f"redis+socket://{socket}"}
        self._add("broker", commands.broker(socket, store), grace=5)
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
