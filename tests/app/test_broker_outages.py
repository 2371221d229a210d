"""A broker that is frozen: nobody who submits a job waits for it, and no job is lost by it."""

import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from redis import Redis

from app.broker import QUEUE
from tests.support.api_process import api_process
from tests.support.postgres import fresh_database, postgres
from tests.support.serving import MODEL
from tests.support.workers import wait_until

__all__ = ["postgres"]

AT_ONCE, ROUNDS = 20, 3
PROMISED_SECONDS = 1.0


@contextmanager
def frozen(broker: Redis) -> Iterator[None]:
    """Stop the broker; its kernel still takes connections and bytes."""
    process = psutil.Process(int(broker.info("server")["process_id"]))
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/fvt.db"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.mark.slow
def test_twenty_submissions_at_once_do_not_wait_for_a_frozen_broker(
    tmp_path: Path, valkey: str, database: str
) -> None:
    broker = Redis.from_url(valkey.replace("redis+socket", "unix"))
    broker.delete(QUEUE)
    settings = {"FVT_HUB": "false", "FVT_DATABASE_URL": database}
    with api_process(tmp_path, valkey, **settings) as api:
        sent = httpx.post(f"{api.url}/v1/corpora", content=b"a text\nanother\n")
        body = {"base_model": MODEL, "corpus_id": sent.json()["id"]}
        with frozen(broker):
            rounds = [submit_at_once(api.url, body) for _ in range(ROUNDS)]
        ids = {id_ for taken in rounds for id_, _ in taken}
        assert len(ids) == AT_ONCE * ROUNDS
        # What a busy machine takes from one round it does not take from all; a broker would.
        assert min(max(seconds for _, seconds in taken) for taken in rounds) < PROMISED_SECONDS
        wait_until(lambda: ids <= set(told(broker)), 120)


def submit_at_once(url: str, body: dict[str, Any]) -> list[tuple[str, float]]:
    """Submit from as many clients; returns of each job its id and the seconds it took."""

    def submit(client: httpx.Client) -> tuple[str, float]:
        begun = time.monotonic()
        answer = client.post("/v1/jobs", json=body)
        seconds = time.monotonic() - begun
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"]), seconds

    clients = [httpx.Client(base_url=url, timeout=60, verify=False) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(submit, clients))


def told(broker: Redis) -> Iterator[str]:
    """Yield the jobs of which the workers were told."""
    for message in broker.lrange(QUEUE, 0, -1):
        yield from re.findall(r"job_\w+", str(message))
