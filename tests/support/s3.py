"""An S3 server of its own, spoken to over HTTP."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

BUCKET = "results"


@dataclass(frozen=True)
class ObjectStore:
    """A running server with one empty bucket, and the log of its requests."""

    endpoint: str
    log: Path

    @property
    def url(self) -> str:
        """The bucket, as `FVT_BLOBS_URL` names it."""
        return f"s3://{BUCKET}/fvt"

    @property
    def environment(self) -> dict[str, str]:
        """Say where the server is, and whose requests it takes."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def requests(self, method: str) -> int:
        """Count the requests so far that had this method."""
        return self.log.read_text().count(f'"{method} /{BUCKET}')


@contextmanager
def s3_server(folder: Path) -> Iterator[ObjectStore]:
    """Run a server until the block ends; skips the test where moto is not installed."""
    pytest.importorskip("moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    log, endpoint = folder / "s3.log", f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
    environment = os.environ | {"NO_COLOR": "1"}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    try:
        _make_bucket(process, f"{endpoint}/{BUCKET}")
        yield ObjectStore(endpoint, log)
    finally:
        process.kill()
        process.wait()


def _make_bucket(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the S3 server did not start"
        try:
            assert httpx.put(url).status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.1)
        else:
            return
