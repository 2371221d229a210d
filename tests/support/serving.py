"""The real application under uvicorn, and a worker's writes to it."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from app.blobs import Blobs
from app.contract.results import file_key
from app.db import Database
from app.jobs import transitions
from app.jobs.transitions import Claim
from app.main import create_app
from app.server import ServerConfig
from app.settings import Settings
from tests.support.postgres import fresh_database

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LEASE = timedelta(hours=1)  # longer than any run of tests


@dataclass(frozen=True)
class Service:
    """A running service, seen from outside and from the store."""

    http: httpx.Client
    db: Database
    blobs: Blobs
    settings: Settings

    def corpus(self, text: bytes = b"one document\nanother document\n") -> str:
        """Upload a corpus; returns its id."""
        answer = self.http.post("/v1/corpora", files={"file": ("corpus.txt", text)})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def submit(self, **fields: Any) -> dict[str, Any]:
        """Submit a job on a new corpus; returns it."""
        body = {"base_model": MODEL, "corpus_id": self.corpus(), **fields}
        answer = self.http.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def claim(self, job_id: str) -> Claim:
        """Take a job up, as a worker does."""
        claim = transitions.claim(self.db, job_id, "test:1", LEASE)
        assert claim
        return claim

    def succeed(
        self,
        job_id: str,
        files: dict[str, bytes],
        archive: bytes,
        result: dict[str, Any] | None = None,
    ) -> None:
        """Store a result and end the job well, as a worker does."""
        claim, prefix = self.claim(job_id), f"jobs/{job_id}/results/1"
        listed = []
        for path, data in files.items():
            self.blobs.put(file_key(prefix, path), data)
            digest = hashlib.sha256(data).hexdigest()
            listed.append({"path": path, "bytes": len(data), "sha256": digest})
        self.blobs.put(f"{prefix}/artifact.tar.gz", archive)
        artifact = {
            "prefix": prefix,
            "bytes": len(archive),
            "sha256": hashlib.sha256(archive).hexdigest(),
            "files": listed,
        }
        transitions.succeed(self.db, claim, result or {"vocab_size": 7630}, artifact)


@contextmanager
def serving(folder: Path, broker_url: str, **settings: Any) -> Iterator[Service]:
    """The service on a free port, with its dispatch loop asleep."""
    given = Settings(
        **{
            "data_dir": folder,
            "broker_url": broker_url,
            "hub": False,
            "auth": "off",
            "dispatch_seconds": 3600,
            **settings,
        }
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(ServerConfig(create_app(given), given, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = "http://{}:{}".format(*listener.getsockname())
        try:
            while not server.started:
                assert thread.is_alive(), "the service did not start"
                time.sleep(0.01)
            db = Database(given.database_url)
            with httpx.Client(base_url=url, timeout=30) as http:
                yield Service(http, db, Blobs(given.blobs_url), given)
            db.close()
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serving_on(
    request: pytest.FixtureRequest, folder: Path, broker_url: str, **settings: Any
) -> Iterator[Service]:
    """The service on the database that a fixture's parameter names: `sqlite` or `postgresql`."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres")
            settings["database_url"] = stack.enter_context(fresh_database(server))
        yield stack.enter_context(serving(folder, broker_url, **settings))
