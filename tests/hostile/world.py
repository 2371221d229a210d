"""The service that the table is sent to: a real process, with what the cases need to be there."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.blobs import Blobs
from app.contract.errors import JobError
from app.db import Database, now
from app.jobs import transitions
from app.jobs.models import Job
from app.jobs.service import cancel
from app.settings import Settings
from tests.hostile.case import Answer
from tests.hostile.hub import HostileHub
from tests.support.api_process import free_port
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
    "request_seconds": 5,
    "database_seconds": 2,
    "allowed_hosts": ["fvt.example.com"],
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
    hub: str
    model: str = MODEL
    corpus: str = ""
    records: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    """An id of a job in each state."""
    fronts: ExitStack = field(default_factory=ExitStack)
    addresses: dict[tuple[tuple[str, str], ...], tuple[str, int]] = field(default_factory=dict)
    """Of the further fronts that were started, by what is different there."""

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

    def front(self, **different: str) -> tuple[str, int]:
        """Give the address of another API of this service, started with different settings.

        A name in capitals is a variable of the environment.
        """
        key = tuple(sorted(different.items()))
        if key not in self.addresses:
            log = self.service.settings.data_dir / f"front{len(self.addresses)}.log"
            environment = environment_of(self.service.settings, self.hub) | {
                name if name.isupper() else f"FVT_{name.upper()}": value for name, value in key
            }
            _, self.addresses[key] = self.fronts.enter_context(api(environment, log))
        return self.addresses[key]

    def raw(
        self,
        data: bytes,
        *,
        then: bytes = b"",
        wait: float = SECONDS,
        address: tuple[str, int] | None = None,
    ) -> Answer:
        """Send bytes as they are, and read an answer; `then` is sent a moment later."""
        address = address or self.address
        data = data.replace(b"HOST", "{}:{}".format(*address).encode())
        data = data.replace(b"KEY", KEY.encode())
        with socket.create_connection(address, timeout=wait) as connection:
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
    try:
        with (
            api(environment_of(settings, hub.url), folder / "api.log") as (process, address),
            httpx.Client(
                base_url="http://{}:{}".format(*address),
                headers={"authorization": f"Bearer {KEY}"},
                timeout=SECONDS,
            ) as http,
        ):
            db = Database(settings.database_url)
            service = Service(http, db, Blobs(settings.blobs_url), settings)
            world = World(service, address, process, models, lambda: next(broker, None), hub.url)
            _fill(world)
            with world.fronts:
                yield world
            db.close()
    finally:
        hub.stop()
        next(broker, None)


def environment_of(settings: Settings, hub: str) -> dict[str, str]:
    """Give the environment of an API with these settings, and no others."""
    given = settings.model_dump(mode="json", exclude_none=True) | {"api_keys": [KEY]}
    environment = {
        f"FVT_{name.upper()}": json.dumps(value) if isinstance(value, (list, bool)) else str(value)
        for name, value in given.items()
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FVT_", "HF_"))}
    return {
        **inherited,
        **environment,
        "HF_ENDPOINT": hub,
        "HF_HOME": str(settings.data_dir / "hub"),
    }


@contextmanager
def api(
    environment: dict[str, str], log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], tuple[str, int]]]:
    """Run the server of `fvt up` and of the image, once it answers, until the block ends."""
    address = ("127.0.0.1", free_port())
    command = [sys.executable, "-m", "app.server", "--port", str(address[1])]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait("http://{}:{}".format(*address), process, log)
        yield process, address
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(f"{url}/healthz", trust_env=False)
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
    for state in (
        "queued",
        "running",
        "cancelling",
        "succeeded",
        "failed",
        "cancelled",
        "lost",
        "expired",
    ):
        world.jobs[state] = service.submit(base_model=MODEL)["id"]
    service.succeed(world.jobs["succeeded"], FILES, ARCHIVE)
    service.succeed(world.jobs["lost"], {"gone.bin": b"soon gone"}, b"soon gone")
    service.blobs.delete_all(f"jobs/{world.jobs['lost']}")
    service.succeed(world.jobs["expired"], FILES, ARCHIVE)
    with service.db.write() as session:
        session.get_one(Job, world.jobs["expired"]).artifact_expired_at = now()
    transitions.fail(service.db, service.claim(world.jobs["failed"]), FAULT)
    cancel(service.db, world.jobs["cancelled"])
    for state in ("running", "cancelling"):
        service.claim(world.jobs[state])
    cancel(service.db, world.jobs["cancelling"])
