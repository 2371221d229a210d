"""The service that the table is sent to: a real process, with what the cases need to be there."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.blobs import Blobs
from app.contract.errors import JobError
from app.db import Database
from app.jobs import transitions
from app.jobs.service import cancel
from app.settings import Settings
from tests.hostile.case import Answer
from tests.hostile.hub import HostileHub
from tests.support.results import ARCHIVE, FILES
from tests.support.servers import valkey_server
from tests.support.serving import Service
from tests.support.sound_model import make_sound

KEY = "a-key-of-the-hostile-table"
MODEL = "org/sound"
MIB = 1 << 20
LIMITS: dict[str, Any] = {
    "max_upload_bytes": 18 * MIB,
    "max_corpus_bytes": 24 * MIB,
    "max_model_bytes": MIB,
    "max_recovery_minutes": 60,
    "hub_seconds": 2,
}
FAULT = JobError(type="user", code="corpus_too_small", message="Upload more.", retryable=False)
SECONDS = 60


@dataclass
class World:
    """A running service and what is known of it."""

    service: Service
    address: tuple[str, int]
    process: subprocess.Popen[bytes]
    models: Path
    stop_broker: Any
    model: str = MODEL
    corpus: str = ""
    records: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    """An id of a job in each state."""

    @property
    def http(self) -> httpx.Client:
        return self.service.http

    def fill(self, path: str) -> str:
        """Put ids in place of `{job}`, `{corpus}` and of the states, as `{queued}`."""
        for name, id_ in {
            "corpus": self.corpus,
            "job": self.jobs["succeeded"],
            **self.jobs,
        }.items():
            path = path.replace(f"{{{name}}}", id_)
        return path

    def raw(self, data: bytes, *, then: bytes = b"", wait: float = SECONDS) -> Answer:
        """Send bytes as they are, and read an answer; `then` is sent a moment later."""
        data = data.replace(b"HOST", "{}:{}".format(*self.address).encode())
        data = data.replace(b"KEY", KEY.encode())
        with socket.create_connection(self.address, timeout=wait) as connection:
            try:
                connection.sendall(data)
                if then:
                    time.sleep(0.05)
                    connection.sendall(then)
                return _read(connection)
            except (ConnectionError, TimeoutError):
                return Answer(0)


def _read(connection: socket.socket) -> Answer:
    """Read one answer with its body, as far as it comes."""
    received = b""
    while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    if not start.startswith("HTTP/1.1 "):
        return Answer(0, received)
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)) and (piece := connection.recv(65536)):
        body += piece
    return Answer(int(start.split()[1]), body, headers)


@contextmanager
def running_world(folder: Path, database_url: str = "") -> Iterator[World]:
    """Start the service as `fvt up` starts it, and fill it with a corpus, records and jobs."""
    broker = valkey_server()
    models = folder / "models"
    make_sound(models / MODEL)
    hub = HostileHub()
    hub.start()
    settings = Settings(
        data_dir=folder / "data",
        database_url=database_url,
        broker_url=next(broker),
        models_dir=models,
        api_keys=[KEY],
        dispatch_seconds=3600,
        **LIMITS,
    )
    with socket.socket() as listener, (folder / "api.log").open("wb") as log:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        process = _start(settings, hub.url, listener, log.fileno())
        address: tuple[str, int] = listener.getsockname()
    try:
        with httpx.Client(
            base_url="http://{}:{}".format(*address),
            headers={"authorization": f"Bearer {KEY}"},
            timeout=SECONDS,
        ) as http:
            _wait(http, process, folder / "api.log")
            db = Database(settings.database_url)
            service = Service(http, db, Blobs(settings.blobs_url), settings)
            world = World(service, address, process, models, lambda: next(broker, None))
            _fill(world)
            yield world
            db.close()
    finally:
        process.terminate()
        process.wait(30)
        hub.stop()
        next(broker, None)


def _start(
    settings: Settings, hub: str, listener: socket.socket, log: int
) -> subprocess.Popen[bytes]:
    given = settings.model_dump(mode="json", exclude_none=True) | {"api_keys": [KEY]}
    environment = {
        f"FVT_{name.upper()}": json.dumps(value) if isinstance(value, (list, bool)) else str(value)
        for name, value in given.items()
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FVT_", "HF_"))}
    environment |= {"HF_ENDPOINT": hub, "HF_HOME": str(settings.data_dir / "hub")}
    command = [sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory"]
    command += ["--fd", str(listener.fileno()), "--no-access-log"]
    return subprocess.Popen(
        command,
        env=inherited | environment,
        pass_fds=[listener.fileno()],
        stdout=log,
        stderr=subprocess.STDOUT,
    )


def _wait(http: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            http.get("/healthz")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the service did not start: {log.read_text('utf-8')[-2000:]}")


def _fill(world: World) -> None:
    service = world.service
    world.corpus = service.corpus()
    rows = {"file": ("rows.jsonl", b'{"text": "a", "label": 1}\n')}
    sent = service.http.post("/v1/corpora", files=rows, data={"format": "records"})
    world.records = sent.json()["id"]
    for state in ("queued", "running", "cancelling", "succeeded", "failed", "cancelled", "lost"):
        world.jobs[state] = service.submit(base_model=MODEL)["id"]
    service.succeed(world.jobs["succeeded"], FILES, ARCHIVE)
    service.succeed(world.jobs["lost"], {"gone.bin": b"soon gone"}, b"soon gone")
    service.blobs.delete_all(f"jobs/{world.jobs['lost']}")
    transitions.fail(service.db, service.claim(world.jobs["failed"]), FAULT)
    cancel(service.db, world.jobs["cancelled"])
    for state in ("running", "cancelling"):
        service.claim(world.jobs[state])
    cancel(service.db, world.jobs["cancelling"])
