"""Workers are told of waiting jobs, through outages of the broker and of the database."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from kombu.exceptions import OperationalError as BrokerAwayError
from redis import Redis
from sqlalchemy.exc import OperationalError

from app.broker import Dispatcher
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.dispatch import dispatch_due_jobs, dispatch_round
from app.jobs.models import Job
from app.settings import Settings
from tests.support.job_store import ENDED, add_job, cancel, read

ROUND = 0.02
TOGETHER, ROUNDS, JOBS = 4, 3, 20


class CountingDispatcher(Dispatcher):
    """Rings nowhere, and notes for whom; a broken one raises."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.broken = False

    def send(self, job_id: str) -> None:
        if self.broken:
            raise BrokerAwayError("away")
        self.rung.append(job_id)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'fvt.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def dispatcher() -> CountingDispatcher:
    return CountingDispatcher()


def test_each_waiting_job_is_rung_for_once(store: Database, dispatcher: CountingDispatcher) -> None:
    jobs = {add_job(store) for _ in range(3)}
    dispatch_round(store, dispatcher)
    dispatch_round(store, dispatcher)
    assert sorted(dispatcher.rung) == sorted(jobs)


def test_a_dropped_job_is_rung_for_again(store: Database, dispatcher: CountingDispatcher) -> None:
    job_id = add_job(store)
    transitions.claim(store, job_id, "w", ENDED)
    dispatch_round(store, dispatcher)
    assert dispatcher.rung == [job_id]
    assert read(store, job_id).status == Status.QUEUED


def test_a_cancelled_job_ends_without_a_broker(
    store: Database, dispatcher: CountingDispatcher
) -> None:
    add_job(store)
    lost = add_job(store)
    transitions.claim(store, lost, "w", ENDED)
    cancel(store, lost)
    dispatcher.broken = True
    with pytest.raises(BrokerAwayError):
        dispatch_round(store, dispatcher)
    assert read(store, lost).status == Status.CANCELLED


@contextmanager
def dispatching(db: Database, dispatcher: Dispatcher) -> Iterator[asyncio.Task[None]]:
    task = asyncio.create_task(dispatch_due_jobs(db, dispatcher, ROUND, asyncio.Event()))
    yield task
    task.cancel()


def test_an_outage_of_the_broker(
    store: Database, dispatcher: CountingDispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = add_job(store)
    dispatcher.broken = True

    async def live() -> None:
        with dispatching(store, dispatcher):
            await asyncio.sleep(ROUND * 5)
            dispatcher.broken = False
            while not dispatcher.rung:
                await asyncio.sleep(ROUND)
            await asyncio.sleep(ROUND * 3)

    asyncio.run(asyncio.wait_for(live(), 10))
    assert dispatcher.rung == [job_id]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_an_outage_of_the_database(
    store: Database, dispatcher: CountingDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job(store)
    calls = 0

    def lapsed(db: Database) -> list[str]:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise OperationalError("SELECT", {}, Exception("gone"))
        return found(db)

    found = transitions.lapsed
    monkeypatch.setattr(transitions, "lapsed", lapsed)

    async def live() -> None:
        with dispatching(store, dispatcher):
            while not dispatcher.rung:
                await asyncio.sleep(ROUND)

    asyncio.run(asyncio.wait_for(live(), 10))


def test_a_submission_starts_a_round(store: Database, dispatcher: CountingDispatcher) -> None:
    async def live() -> None:
        submitted = asyncio.Event()
        task = asyncio.create_task(dispatch_due_jobs(store, dispatcher, 3600, submitted))
        await asyncio.sleep(ROUND * 5)
        for number in range(3):
            await asyncio.to_thread(add_job, store)
            submitted.set()
            while len(dispatcher.rung) <= number:
                await asyncio.sleep(ROUND)
        task.cancel()

    asyncio.run(asyncio.wait_for(live(), 20))
    assert transitions.due(store) == []


def test_a_broker_that_is_away_leaves_the_job_due(
    store: Database, dispatcher: CountingDispatcher
) -> None:
    job_id = add_job(store)
    dispatcher.broken = True
    with pytest.raises(BrokerAwayError):
        dispatch_round(store, dispatcher)
    assert transitions.due(store) == [job_id]


def test_a_job_is_told_again_until_it_is_claimed(
    store: Database, dispatcher: CountingDispatcher
) -> None:
    job_id = add_job(store)
    dispatch_round(store, dispatcher)
    with store.write() as session:
        job = session.get_one(Job, job_id)
        assert job.due_at
        job.due_at -= timedelta(minutes=1)
    dispatch_round(store, dispatcher)
    assert dispatcher.rung == [job_id, job_id]


def test_a_job_whose_message_could_not_be_sent_is_due_with_all_after_it(
    store: Database, dispatcher: CountingDispatcher
) -> None:
    jobs = {add_job(store) for _ in range(3)}
    dispatcher.broken = True
    with pytest.raises(BrokerAwayError):
        dispatch_round(store, dispatcher)
    assert set(transitions.due(store)) == jobs


def test_rounds_of_several_apis_send_each_job_once(db: Database) -> None:
    with ThreadPoolExecutor(TOGETHER) as pool:
        for _ in range(ROUNDS):
            jobs = [add_job(db) for _ in range(JOBS)]
            dropped = jobs[::4]
            for job_id in dropped:
                transitions.claim(db, job_id, "w", ENDED)
            barrier = Barrier(TOGETHER)
            apis = [CountingDispatcher() for _ in range(TOGETHER)]

            def tell(api: CountingDispatcher, barrier: Barrier = barrier) -> None:
                barrier.wait()
                dispatch_round(db, api)

            # A round finds what others requeued only once they did, so there is a second one.
            list(pool.map(tell, apis))
            list(pool.map(tell, apis))
            sent = [job_id for api in apis for job_id in api.rung]
            assert sorted(sent) == sorted(jobs)


def test_a_real_message_reaches_the_queue(store: Database, settings: Settings) -> None:
    job_id = add_job(store)
    dispatch_round(store, Dispatcher(settings))
    path = settings.broker_url.removeprefix("redis+socket://")
    messages = Redis(unix_socket_path=path).lrange("fvt", 0, -1)
    assert any(job_id in str(message) for message in messages)
