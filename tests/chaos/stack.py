"""The whole service in real processes of one folder, started as local mode starts them."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL

import httpx
import psutil

from app.blobs import Blobs
from app.cli import local
from app.db import Database
from app.settings import Settings
from tests.chaos.databases import DATABASES, AnyDatabase
from tests.chaos.processes import MARK, Service, marked, signal_all, wait_for_none
from tests.support.commands import environment
from tests.support.tiny_models import make_base_model
from tests.support.workers import wait_until

LEASE_SECONDS = 4.0
REAPING = {"reap_seconds": "15", "abandoned_seconds": "30"}
"""Settings of what frees files that belong to nothing, made quick."""
QUICK = {
    "hub": "false",
    "auth": "off",
    "device": "cpu",
    "extensions": '["tests.chaos.extension"]',
    "lease_seconds": str(LEASE_SECONDS),
    "heartbeat_seconds": "0.5",
    "checkpoint_seconds": "0.1",
    "dispatch_seconds": "0.5",
    "max_attempts": "5",
    **REAPING,
}
"""Settings with which what takes minutes otherwise takes seconds."""
ROOT = Path(__file__).parents[2]


@dataclass
class Stack:
    """A service under test: its parts, and what it keeps."""

    run: str
    folder: Path
    urls: list[str]
    settings: Settings
    database: AnyDatabase
    broker: Service
    apis: list[Service]
    workers: list[Service]
    points: Path
    scratch: Path

    @property
    def services(self) -> list[Service]:
        return [self.broker, *self.apis, *self.workers]

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.settings.blobs_url)

    @contextmanager
    def store(self) -> Iterator[Database]:
        """The database, read by the suite itself."""
        database = Database(self.settings.database_url)
        try:
            yield database
        finally:
            database.close()

    def heal(self) -> None:
        """Let everything run again."""
        self.database.thaw()
        self.database.restart()
        signal_all(list(marked(self.run)), SIGCONT)
        for service in self.services:
            service.restart()

    def heal_and_kill(self) -> None:
        """End at once whatever there is."""
        self.database.thaw()
        signal_all(list(marked(self.run)), SIGKILL)
        for service in self.services:
            service.stop(5)
        self.database.stop()

    def orphans(self) -> list[psutil.Process]:
        """The processes of this run that belong to no service any more."""
        owned = {process.pid for service in self.services for process in service.family()}
        return [process for process in marked(self.run) if process.pid not in owned]

    def stop(self) -> list[str]:
        """End everything in good order; returns the processes that did not end, now killed."""
        stuck = [service.name for service in reversed(self.services) if not service.stop(45)]
        left = wait_for_none(self.run, 10)
        signal_all(list(marked(self.run)), SIGKILL)
        return [f"{name} did not end by itself" for name in stuck] + left


@contextmanager
def running(kind: str, workers: int, apis: int = 1, logs: Path | None = None) -> Iterator[Stack]:
    """A service on a database of this kind, ready; nothing is left of it at the end.

    Its logs are copied to the folder `logs`.
    """
    # A short path: a Unix socket's may have no more than 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="fvt-chaos-", dir="/tmp"))
    folder.chmod(0o755)
    stack = _stack(folder, kind, workers, apis)
    try:
        stack.database.start()
        for service in stack.services:
            service.restart()
        wait_until(lambda: all(is_ready(url) for url in stack.urls), 120)
        yield stack
    finally:
        stack.heal_and_kill()
        if logs:
            shutil.copytree(folder / "logs", logs, dirs_exist_ok=True)
        shutil.rmtree(folder)


def _stack(folder: Path, kind: str, workers: int, apis: int) -> Stack:
    for name in ("data", "points", "tmp", "broker", "logs"):
        (folder / name).mkdir()
    make_base_model(folder / "models" / "acme" / "tiny-bert", vocab_size=200)
    database = DATABASES[kind](folder)
    socket = folder / "broker" / "s"
    settings = {
        "data_dir": str(folder / "data"),
        "database_url": database.url,
        "broker_url": f"redis+socket://{socket}",
        "models_dir": str(folder / "models"),
        **QUICK,
    }
    env = marked_environment(settings, folder)
    env["TMPDIR"] = str(folder / "tmp")

    def service(name: str, command: Sequence[str]) -> Service:
        return Service(name, command, env, folder / "logs" / f"{name}.log", cwd=ROOT)

    ports = [local.reserve("127.0.0.1", 0) for _ in range(apis)]
    nodes = [f"worker{number}" for number in range(workers)]
    return Stack(
        run=folder.name,
        folder=folder,
        urls=[f"http://127.0.0.1:{port}" for port in ports],
        settings=Settings.model_validate({**settings, "extensions": []}),
        database=database,
        broker=service("broker", local.broker(socket, folder / "broker")),
        apis=[service(f"api{n}", local.api("127.0.0.1", port)) for n, port in enumerate(ports)],
        workers=[service(node, [*local.worker(), "-n", f"{node}@%h"]) for node in nodes],
        points=folder / "points",
        scratch=folder / "tmp",
    )


def marked_environment(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of a run's processes: its settings, and the mark by which they are found."""
    env = environment(**{f"FVT_{name.upper()}": value for name, value in settings.items()})
    env |= {MARK: folder.name, "FVT_CHAOS_POINTS": str(folder / "points")}
    # Tiny models gain nothing by threads, and a busy machine has none to spare.
    return env | {"OMP_NUM_THREADS": "1"}


def is_ready(url: str) -> bool:
    """Tell whether the API there says that all of the service works."""
    try:
        return httpx.get(f"{url}/readyz", timeout=10, trust_env=False).is_success
    except httpx.TransportError:
        return False
