"""Files on S3: uploads through the API in many parts, listings of many pages, what is left open."""

import asyncio
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import obstore
import pytest

from app.blobs import WRITE_BUFFER, Blobs
from app.cli import local
from tests.chaos.processes import Service
from tests.chaos.stack import REAPING, is_ready
from tests.support.commands import environment
from tests.support.relay import State, relay_to
from tests.support.s3 import ObjectStore, environment_of
from tests.support.serving import serving
from tests.support.workers import wait_until

pytestmark = pytest.mark.slow

LINE = b"a line of a corpus that is long enough to be counted\n"
LARGE = LINE * (5 * WRITE_BUFFER // 2 // len(LINE))
"""A corpus of three parts."""


def test_an_upload_of_many_parts(tmp_path: Path, valkey: str, store: ObjectStore) -> None:
    with serving(tmp_path, valkey, blobs_url=store.url, **store.settings) as service:
        corpus_id = service.corpus(LARGE)
        corpus = service.http.get(f"/v1/corpora/{corpus_id}").json()
        assert (corpus["bytes"], corpus["documents"]) == (len(LARGE), LARGE.count(b"\n"))
        (key,) = service.blobs.keys(f"corpora/{corpus_id}")
        stored = b"".join(service.blobs.stream(key, 0, len(LARGE)))
        assert hashlib.sha256(stored).hexdigest() == corpus["sha256"]
        assert store.open_uploads() == []
        assert service.http.delete(f"/v1/corpora/{corpus_id}").status_code == 204
        assert service.blobs.keys("corpora") == []


def test_a_corpus_that_is_refused_at_its_end_leaves_nothing(
    tmp_path: Path, valkey: str, store: ObjectStore
) -> None:
    with serving(tmp_path, valkey, blobs_url=store.url, **store.settings) as service:
        broken = b'{"text": "a"}\n' * (WRITE_BUFFER // 10) + b"{]\n"
        files = {"file": ("corpus.jsonl", broken)}
        assert service.http.post("/v1/corpora", files=files).status_code == 422
        assert service.blobs.keys("corpora") == []
    assert store.open_uploads() == []


def test_a_client_that_goes_away_amid_its_upload_leaves_nothing(
    tmp_path: Path, valkey: str, store: ObjectStore
) -> None:
    with serving(tmp_path, valkey, blobs_url=store.url, **store.settings) as service:
        with pytest.raises(GoneError):
            service.http.post("/v1/corpora", content=broken_off(), headers=TEXT)
        wait_until(lambda: store.open_uploads() == [], 20)
        assert service.blobs.keys("corpora") == []


def test_an_upload_that_the_store_gave_up_is_to_be_sent_again(
    tmp_path: Path, valkey: str, store: ObjectStore
) -> None:
    """A bucket's own rule may abort what is being sent."""

    def aborted_amid() -> Iterator[bytes]:
        yield LARGE[: 2 * WRITE_BUFFER]
        wait_until(lambda: store.open_uploads() != [], 20)
        store.clear()
        yield LARGE

    with serving(tmp_path, valkey, blobs_url=store.url, **store.settings) as service:
        answer = service.http.post("/v1/corpora", content=aborted_amid(), headers=TEXT)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert service.blobs.keys("corpora") == []


TEXT = {"content-type": "text/plain"}


class GoneError(Exception):
    """The client is no longer there."""


def broken_off() -> Iterator[bytes]:
    yield LARGE[: 2 * WRITE_BUFFER]
    time.sleep(1)  # time to have two parts sent
    raise GoneError


def test_listings_and_deletions_of_many_pages(store: ObjectStore) -> None:
    blobs = Blobs(store.url)

    async def put_all() -> None:
        for start in range(0, 2100, 50):
            keys = (f"many/{number:05d}" for number in range(start, start + 50))
            await asyncio.gather(*(obstore.put_async(blobs.store, key, b"x") for key in keys))

    asyncio.run(put_all())
    blobs.put("many-others/1", b"x")
    assert blobs.keys("many") == [f"many/{number:05d}" for number in range(2100)]
    blobs.delete_all("many")
    assert blobs.keys("many") == []
    assert blobs.keys("many-others") == ["many-others/1"]
    blobs.delete_all("many-others")


def test_a_killed_apis_upload_is_freed_by_the_next_one(
    tmp_path: Path, valkey: str, store: ObjectStore
) -> None:
    if not store.knows_times:
        pytest.skip("every open upload counts as abandoned on this server")
    env, port = served(tmp_path, valkey, store.url), local.reserve("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    api = Service("api", local.api("127.0.0.1", port), env, tmp_path / "api.log")
    api.restart()
    wait_until(lambda: is_ready(url), 60)
    try:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{url}/v1/corpora", content=killed_amid(api), headers=TEXT, trust_env=False)
        assert len(store.open_uploads()) == 1
        api.restart()
        wait_until(lambda: is_ready(url), 60)
        # The killed one may have had the reaper's duty, which is free again after a minute.
        wait_until(lambda: store.open_uploads() == [], 120)
        assert Blobs(store.url).keys("corpora") == []
    finally:
        api.stop(20)


def served(folder: Path, broker_url: str, blobs_url: str) -> dict[str, str]:
    """The environment of an API that frees at once what nobody needs."""
    settings = {
        "data_dir": str(folder / "data"),
        "broker_url": broker_url,
        "blobs_url": blobs_url,
        "auth": "off",
        "hub": "false",
        **REAPING,
        "abandoned_seconds": "3",
    }
    return environment(**{f"FVT_{name.upper()}": value for name, value in settings.items()})


def killed_amid(api: Service) -> Iterator[bytes]:
    yield LARGE[: 2 * WRITE_BUFFER]
    time.sleep(1)
    os.kill(api.pid, 9)
    yield from (LINE for _ in range(1 << 20))


def through(relay_port: int, patch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(f"http://127.0.0.1:{relay_port}").items():
        patch.setenv(name, value)


def test_a_store_behind_a_slow_line_and_one_that_breaks(
    tmp_path: Path, valkey: str, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = urlsplit(store.endpoint)
    assert where.hostname
    assert where.port
    with relay_to(where.hostname, where.port) as relay:
        through(relay.port, monkeypatch)
        with serving(tmp_path, valkey, blobs_url=store.url, **store.settings) as service:
            relay.bytes_per_second = 8 << 20
            slow = service.corpus(LARGE)
            relay.bytes_per_second = None
            relay.break_after = WRITE_BUFFER + WRITE_BUFFER // 2
            broken = service.corpus(LARGE)
            for corpus_id in (slow, broken):
                (key,) = service.blobs.keys(f"corpora/{corpus_id}")
                assert b"".join(service.blobs.stream(key, 0, len(LARGE))) == LARGE
                service.http.delete(f"/v1/corpora/{corpus_id}")
        assert store.open_uploads() == []


@pytest.mark.parametrize("state", [State.SILENT, State.BROKEN])
def test_a_store_that_is_away_is_said_to_be(
    tmp_path: Path, valkey: str, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    where = urlsplit(store.endpoint)
    assert where.hostname
    assert where.port
    with relay_to(where.hostname, where.port) as relay:
        through(relay.port, monkeypatch)
        with serving(tmp_path, valkey, blobs_url=store.url, **store.settings) as service:
            if state is State.BROKEN:
                relay.cut()
            relay.state = state
            ready = service.http.get("/readyz", timeout=10)
            assert ready.status_code == 503
            assert "storage" in ready.json()["detail"]
            answer = service.http.post(
                "/v1/corpora", files={"file": ("corpus.txt", LINE)}, timeout=90
            )
            relay.state = State.WHOLE
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert service.corpus(LINE)
