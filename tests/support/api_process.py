"""The API as a process of its own, as `fvt up` and the image start it."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.support.commands import environment

MIB = 1 << 20


@dataclass(frozen=True)
class ApiProcess:
    """A running API and its address."""

    url: str
    process: psutil.Process

    def is_healthy(self, within: float = 2) -> bool:
        """Whether a new connection is answered in time."""
        return httpx.get(f"{self.url}/healthz", timeout=within).is_success

    @contextmanager
    def growing_less_than(self, mib: float) -> Iterator[None]:
        """The block, during which the memory of the process must not grow by more."""
        start = peak = self.process.memory_info().rss
        is_over = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not is_over.wait(0.01):
                peak = max(peak, self.process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()
        assert (peak - start) / MIB < mib


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def api_process(folder: Path, broker_url: str, **settings: str) -> Iterator[ApiProcess]:
    """The API without a key on a free port, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "app.server", "--port", str(port)]
    given = {"FVT_AUTH": "off", "FVT_DATA_DIR": str(folder), "FVT_BROKER_URL": broker_url}
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment(**given | settings), stdout=log, stderr=log, cwd=Path.cwd()
        )
    try:
        api = ApiProcess(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        _wait(api, process)
        yield api
    finally:
        process.terminate()
        process.wait(30)


def _wait(api: ApiProcess, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the API ended"
        try:
            if api.is_healthy():
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(api.url)
