"""The streams of events: one reader a process reads for all of them, in one query a round."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT

from app.db import Database
from app.jobs.events import encode, read_all_news, read_news
from app.jobs.models import JobEvent
from app.jobs.service import read_job

POLL_SECONDS = 0.5
KEEPALIVE_SECONDS = 15
MAX_WAITING = 1000
"""Most events that wait for one slow client; behind them it reads from the store."""

OneJobsNews = tuple[Sequence[JobEvent], bool]
NOTHING_FOLLOWS: OneJobsNews = ([], True)

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Reader:
    """One client's stream."""

    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    behind: bool = False
    """Events were dropped, which this stream must read by itself."""

    def tell(self, events: Sequence[tuple[int, bytes]], *, ended: bool) -> None:
        self.behind = self.behind or len(self.waiting) + len(events) > MAX_WAITING
        self.waiting = [] if self.behind else [*self.waiting, *events]
        self.ended = ended
        self.told.set()


@dataclass
class _Watched:
    """A job with streams: the number of the last event that they were told of."""

    cursor: int
    readers: set[_Reader] = field(default_factory=set)


class EventHub:
    """Streams of server-sent events; `run` is the reader, a task of the service."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._jobs: dict[str, _Watched] = {}
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Read the news of all watched jobs, for ever; a database that is away is waited for."""
        away = False
        while True:
            await self._wanted.wait()
            try:
                await self._round()
            except Exception:
                if not away:
                    log.exception("The streams of events wait for the database")
                away = True
            else:
                away = False
            await asyncio.sleep(POLL_SECONDS)

    async def open(self, job_id: str, after: int) -> OneJobsNews:
        """Read what a new stream begins with; raises `NotFoundError`."""
        return await run_in_threadpool(self._begin, job_id, after)

    def _begin(self, job_id: str, after: int) -> OneJobsNews:
        read_job(self._db, job_id)
        return read_news(self._db, job_id, after)

    async def stream(self, job_id: str, after: int, news: OneJobsNews) -> AsyncIterator[bytes]:
        """Yield the events from `news` on until the one that ends the job."""
        events, ended = news
        for event in events:
            yield encode(event)
            after = event.sequence
        if ended:
            return
        with self._reader(job_id, after) as reader:
            while not ended:
                if reader.behind:
                    reader.behind = False
                    events, ended = await run_in_threadpool(read_news, self._db, job_id, after)
                    reader.behind = reader.behind or (bool(events) and not ended)
                    told = [(event.sequence, encode(event)) for event in events]
                else:
                    try:
                        await asyncio.wait_for(reader.told.wait(), KEEPALIVE_SECONDS)
                    except TimeoutError:
                        yield KEEPALIVE_COMMENT
                        continue
                    reader.told.clear()
                    told, reader.waiting = reader.waiting, []
                    ended = reader.ended and not reader.behind
                for sequence, data in told:
                    if sequence > after:
                        yield data
                        after = sequence

    @contextmanager
    def _reader(self, job_id: str, after: int) -> Iterator[_Reader]:
        watched = self._jobs.setdefault(job_id, _Watched(after))
        reader = _Reader(behind=watched.cursor > after)
        watched.readers.add(reader)
        self._wanted.set()
        try:
            yield reader
        finally:
            watched.readers.discard(reader)
            if not watched.readers and self._jobs.get(job_id) is watched:
                del self._jobs[job_id]
            if not self._jobs:
                self._wanted.clear()

    async def _round(self) -> None:
        cursors = {job_id: watched.cursor for job_id, watched in self._jobs.items()}
        events, ended = await run_in_threadpool(read_all_news, self._db, cursors)
        news: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for event in events:
            news[event.job_id].append((event.sequence, encode(event)))
        for job_id in {*news, *ended}:
            # The last stream of a job may have gone while its events were read.
            if (watched := self._jobs.get(job_id)) and watched.cursor == cursors[job_id]:
                if news[job_id]:
                    watched.cursor = news[job_id][-1][0]
                for reader in watched.readers:
                    reader.tell(news[job_id], ended=job_id in ended)
