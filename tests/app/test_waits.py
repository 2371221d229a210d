"""Turns of writers, outages, and what a worker bridges."""

import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.waits import DatabaseAwayError, Outage, WriterQueue, is_trouble
from tests.support.job_store import LEASE, add_job, open_store, read
from tests.support.outages import own_postgres, write_lock
from tests.support.postgres import Cluster, binaries


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    url = f"sqlite:///{tmp_path / 'fvt.db'}"
    for _ in open_store(url):
        yield url


def test_writers_take_turns_as_they_came() -> None:
    queue, served = WriterQueue(), list[int]()

    def write(number: int) -> None:
        with queue.turn(10):
            served.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    with queue.turn(1):
        for thread in threads:
            thread.start()
            time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert served == list(range(8))


def test_a_turn_that_does_not_come_is_given_up_and_leaves_no_gap() -> None:
    queue = WriterQueue()
    with queue.turn(1), pytest.raises(DatabaseAwayError), queue.turn(0.05):
        pytest.fail("two at once")
    with queue.turn(0.05):
        pass


def test_one_call_at_a_time_tries_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.waits.PROBE_SECONDS", 0.2)
    outage = Outage()
    outage.check()
    with pytest.raises(DatabaseAwayError), outage.watched():
        raise DatabaseAwayError("silent")
    outage.check()  # that was no silence of a server, but of a turn

    from psycopg import OperationalError as ServerGoneError  # noqa: PLC0415

    gone = OperationalError("SELECT", {}, ServerGoneError("gone"))
    with pytest.raises(OperationalError), outage.watched():
        raise gone
    with pytest.raises(DatabaseAwayError):
        outage.check()
    time.sleep(0.25)
    outage.check()
    with pytest.raises(DatabaseAwayError):
        outage.check()
    with outage.watched():
        pass
    outage.check()


def test_a_wrong_statement_is_no_trouble_of_the_database(url: str) -> None:
    with pytest.raises(OperationalError) as wrong, Database(url).read() as session:
        session.execute(text("SELECT * FROM nowhere"))
    assert not is_trouble(wrong.value)


def test_a_lock_that_outlasts_the_wait_is_trouble(url: str) -> None:
    db = Database(url, wait=1)
    begun = time.monotonic()
    with write_lock(db), pytest.raises(OperationalError) as locked, db.write():
        pytest.fail("it is locked")
    assert is_trouble(locked.value)
    assert 0.9 < time.monotonic() - begun < 4
    with db.write():
        pass


def unlock_after(seconds: float, db: Database) -> threading.Thread:
    held = threading.Event()

    def hold() -> None:
        with write_lock(db):
            held.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    return thread


def test_a_worker_bridges_what_is_shorter_than_its_lease(url: str) -> None:
    impatient, worker = Database(url, wait=1), Database(url, wait=1, patience=30)
    job_id = add_job(worker)
    claim = transitions.claim(worker, job_id, "w", LEASE)
    assert claim
    locked = unlock_after(2.5, impatient)
    with pytest.raises(OperationalError):
        transitions.renew(impatient, claim, LEASE)
    assert transitions.finish_stage(worker, claim, "resolve", 1.0, {}) is None
    locked.join()
    assert transitions.succeed(worker, claim, {}, {}) == Status.SUCCEEDED
    assert read(worker, job_id).attempt == 1


@pytest.mark.slow
def test_a_worker_bridges_a_frozen_postgresql() -> None:
    with own_postgres() as server:
        Database(server.url).migrate()
        worker = Database(server.url, wait=1, patience=60)
        job_id = add_job(worker)
        claim = transitions.claim(worker, job_id, "w", timedelta(minutes=2))
        assert claim
        with server.frozen():
            ending = threading.Thread(target=transitions.succeed, args=(worker, claim, {}, {}))
            ending.start()
            time.sleep(6)
            assert ending.is_alive()
        ending.join(30)
        assert read(worker, job_id).status == Status.SUCCEEDED
        worker.close()


@pytest.mark.slow
def test_who_starts_first_waits_for_postgresql() -> None:
    bin_folder = binaries()
    if bin_folder is None:
        pytest.skip("PostgreSQL is not installed here")
    with tempfile.TemporaryDirectory(prefix="fvt-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder), bin_folder)
        cluster.create()
        starting = threading.Timer(2.5, cluster.start)
        starting.start()
        database = Database(cluster.url, wait=1)
        try:
            database.migrate()
            add_job(database)
        finally:
            database.close()
            starting.join()
            cluster.stop()
