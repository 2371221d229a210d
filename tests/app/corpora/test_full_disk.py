"""Uploads that a disk has no room for."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.maintenance.ownership import owner_of
from app.partial_files import staged_files
from tests.support.commands import running_up
from tests.support.serving import Service, serving
from tests.support.small_disk import MIB, fill, small_disk
from tests.support.workers import wait_until

LINE = b"a line of text that is long enough\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 24) as folder:
        yield folder


@pytest.fixture
def service(disk: Path, tmp_path: Path, valkey: str) -> Iterator[Service]:
    """Only the files are on the small disk."""
    settings = {"blobs_url": (disk / "blobs").as_uri(), "min_free_bytes": 2 * MIB}
    with serving(tmp_path / "data", valkey, **settings) as running:
        yield running


def of_size(size: int) -> bytes:
    return (LINE * (size // len(LINE) + 1))[:size]


def pieces(data: bytes) -> Iterator[bytes]:
    """Send without a length."""
    for start in range(0, len(data), MIB):
        yield data[start : start + MIB]


def files(service: Service) -> list[Path]:
    assert service.blobs.folder
    return [p for p in (service.blobs.folder / "corpora").rglob("*")]  # noqa: C416


def free_at_rest(service: Service) -> int | None:
    """Return the free bytes once the service has marked the storage as its own."""
    wait_until(lambda: owner_of(service.blobs) is not None, 20)
    return service.blobs.free_bytes


def refused(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == 507, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "insufficient_storage"
    assert problem["needed_bytes"] > problem["free_bytes"] >= 0
    for figure in ("needed_bytes", "free_bytes"):
        assert f"{problem[figure]:,}" in problem["detail"]
    return dict(problem)


def test_an_upload_that_says_how_long_it_is_is_refused_before_it_comes(service: Service) -> None:
    free = free_at_rest(service)
    problem = refused(service.http.post("/v1/corpora", content=of_size(30 * MIB)))
    assert problem["needed_bytes"] == 32 * MIB
    assert problem["free_bytes"] == free == service.blobs.free_bytes
    assert files(service) == []
    assert service.corpus()


def test_an_upload_that_does_not_say_so_ends_at_the_reserve(service: Service) -> None:
    free = free_at_rest(service)
    refused(service.http.post("/v1/corpora", content=pieces(of_size(30 * MIB))))
    assert files(service) == []
    assert service.blobs.free_bytes == free
    assert service.corpus()


def test_a_disk_that_others_fill_amid_an_upload(service: Service, disk: Path) -> None:
    filler = disk / "filler"

    def filled() -> Iterator[bytes]:
        for number, piece in enumerate(pieces(of_size(18 * MIB))):
            if number == 9:
                fill(disk)
            yield piece

    refused(service.http.post("/v1/corpora", content=filled()))
    assert files(service) == []
    filler.unlink()
    assert service.corpus()


def test_without_a_reserve_the_disk_itself_says_no(disk: Path, tmp_path: Path, valkey: str) -> None:
    settings = {"blobs_url": (disk / "blobs").as_uri(), "min_free_bytes": 0}
    with serving(tmp_path / "data", valkey, **settings) as service:
        free = free_at_rest(service)
        refused(service.http.post("/v1/corpora", content=pieces(of_size(30 * MIB))))
        assert files(service) == []
        assert service.blobs.free_bytes == free
        assert service.http.get("/readyz").status_code == 200
        assert service.corpus()


def test_a_full_disk_of_the_database(disk: Path, tmp_path: Path, valkey: str) -> None:
    """Whatever call meets it."""
    settings = {"database_url": f"sqlite:///{disk / 'fvt.db'}", "min_free_bytes": 0}
    with serving(tmp_path / "data", valkey, **settings) as service:
        corpus_id = service.corpus()
        filler = fill(disk)
        statuses = set[int]()
        for number in range(300):
            text = f"a document {number}\n".encode() * 50
            statuses.add(service.http.post("/v1/corpora", content=text).status_code)
        assert statuses <= {201, 507}
        assert 507 in statuses
        assert service.http.get(f"/v1/corpora/{corpus_id}").status_code == 200
        filler.unlink()
        assert service.corpus()


def test_a_job_is_refused_where_its_files_have_no_room(service: Service) -> None:
    body = {"base_model": "sentence-transformers/all-MiniLM-L6-v2", "corpus_id": service.corpus()}
    problem = refused(service.http.post("/v1/jobs", json=body))
    assert problem["needed_bytes"] > 200 * MIB
    assert service.http.get("/v1/jobs").json()["data"] == []


@pytest.mark.slow
def test_an_api_that_is_killed_amid_an_upload_leaves_a_file_that_is_freed(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    settings = {"FVT_ABANDONED_SECONDS": "3", "FVT_REAP_SECONDS": "0.5"}
    with running_up(data, **settings) as up:
        began = threading.Event()

        def endless() -> Iterator[bytes]:
            for number in range(10_000):
                yield of_size(MIB)
                if number == 20:
                    began.set()
                    time.sleep(60)

        def send() -> None:
            with pytest.raises(httpx.TransportError):
                httpx.post(f"{up.url}/v1/corpora", content=endless(), timeout=60)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        assert began.wait(60)
        time.sleep(0.5)
        os.kill(up.named("app.server")[0].pid, signal.SIGKILL)
        up.process.wait(60)
    assert sum(path.stat().st_size for path in staged_files(data / "blobs")) > 8 * MIB
    with running_up(data, **settings):
        deadline = time.monotonic() + 30
        while any((data / "blobs").glob("corpora")) and time.monotonic() < deadline:
            time.sleep(0.2)
    assert list((data / "blobs").iterdir()) == [data / "blobs" / "installation"]
