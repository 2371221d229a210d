"""The reaper: removes files that belong to nothing, whoever was killed before doing so.

One process at a time has the duty; two would do no harm. Nothing is removed that is in use:

- A job's row is there before its files, so files are listed before rows are read.
- A corpus's file is there before its row: without one it must not have changed for long.
- Of a job that ended, all goes but its result; of one that has not, nothing.
- A workspace stays while its attempt holds the job.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from threading import Event
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute

from app.blobs import Blobs
from app.contract.states import TERMINAL
from app.corpora.models import Corpus
from app.db import Database, now
from app.ids import is_id
from app.jobs.models import Job
from app.maintenance.duty import give_up, take
from app.maintenance.expiry import expire
from app.maintenance.files import free_ended_job
from app.maintenance.ownership import MARKER, installation_id, owner_of
from app.maintenance.workspaces import remove_unused_workspaces
from app.settings import Settings

log = logging.getLogger(__name__)

DUTY = "reaper"
DUTY_LENGTH = timedelta(minutes=1)
AT_ONCE = 500
"""Rows asked for in one query."""


class OverError(Exception):
    """The duty is another process's now, or this one is to end."""


class Reaper:
    """Goes its rounds while it has the duty."""

    def __init__(self, db: Database, blobs: Blobs, settings: Settings) -> None:
        self._db, self._blobs, self._settings = db, blobs, settings
        self._holder = f"reaper_{uuid4().hex}"
        self._stop = Event()
        self._taken = 0.0
        self._warned = False

    def stop(self) -> None:
        """Have a round that goes on end soon."""
        self._stop.set()

    def round(self) -> bool:
        """Go one round; False where another process has the duty.

        A step that fails, as where the storage is away, keeps none of the others from being done.
        """
        try:
            if not self._take():
                return False
            for step in (self._expire, self._free_storage, self._free_workspaces):
                try:
                    step()
                except OverError:
                    raise
                except Exception:
                    log.exception("The reaper could not do all of %s", step.__name__)
        except OverError:
            return False
        give_up(self._db, DUTY, self._holder)
        return True

    def _take(self) -> bool:
        self._taken = time.monotonic()
        return take(self._db, DUTY, self._holder, DUTY_LENGTH)

    def _go_on(self) -> None:
        """Prolong the duty where its end is near; raises `OverError` where it cannot go on."""
        if self._stop.is_set():
            raise OverError
        is_near = time.monotonic() - self._taken > DUTY_LENGTH.total_seconds() / 2
        if is_near and not self._take():
            raise OverError

    def _expire(self) -> None:
        expire(self._db, self._blobs, self._settings)

    def _free_workspaces(self) -> None:
        self._go_on()
        remove_unused_workspaces(self._settings.workspaces, self._db)

    def _free_storage(self) -> None:
        self._go_on()
        if not self._is_ours():
            return
        before = now() - timedelta(seconds=self._settings.abandoned_seconds)
        for job_id in self._unknown("jobs", Job.id):
            self._remove(f"jobs/{job_id}")
        for corpus_id in self._unknown("corpora", Corpus.id):
            changed = self._blobs.changed_at(f"corpora/{corpus_id}")
            if changed and changed < before:
                self._remove(f"corpora/{corpus_id}")
        self._free_ended_jobs(before)
        if freed := self._blobs.delete_partial(before):
            log.info("Freed %d unfinished files", freed)

    def _is_ours(self) -> bool:
        """Tell whether this database says what may be in the storage, and have the storage say so.

        A storage that does not say whose it is, as of an earlier version, is taken over where it is
        empty or holds something that is known here.
        """
        ours, owner = installation_id(self._db), owner_of(self._blobs)
        if owner is None:
            found = [*self._blobs.children("jobs"), *self._blobs.children("corpora")]
            known = self._known(found, Job.id) or self._known(found, Corpus.id)
            holds = any(self._blobs.has_files(prefix) for prefix in ("jobs", "corpora"))
            if known or not holds:
                self._blobs.put(MARKER, ours.encode())
                return True
        if owner != ours and not self._warned:
            self._warned = True
            log.error(
                "Nothing in the storage %s is removed: it belongs to %s, and this database is %s. "
                "If this database takes over, write that into the file `%s` there.",
                *(self._blobs.url, owner or "an unknown database", ours, MARKER),
            )
        return owner == ours

    def _unknown(self, prefix: str, column: InstrumentedAttribute[str]) -> Iterator[str]:
        """Yield the ids that have files but no row."""
        found = [name for name in self._blobs.children(prefix) if is_id(name)]
        known = self._known(found, column)
        yield from (id_ for id_ in found if id_ not in known)

    def _known(self, ids: Sequence[str], column: InstrumentedAttribute[str]) -> set[str]:
        known = set[str]()
        for start in range(0, len(ids), AT_ONCE):
            self._go_on()
            some = ids[start : start + AT_ONCE]
            with self._db.read() as session:
                known.update(session.scalars(select(column).where(column.in_(some))))
        return known

    def _remove(self, prefix: str) -> None:
        self._go_on()
        self._blobs.delete_all(prefix)
        log.info("Removed %s, which belongs to nothing", prefix)

    def _free_ended_jobs(self, before: datetime) -> None:
        """Free what ended jobs left; those that ended long ago are not looked at again."""
        query = select(Job.id, Job.finished_at, Job.artifact_expired_at)
        query = query.where(Job.status.in_(TERMINAL), Job.freed_at.is_(None))
        with self._db.read() as session:
            ended = session.execute(query).all()
        for job_id, *times in ended:
            self._go_on()
            free_ended_job(self._db, self._blobs, job_id, before)
            # Until then a worker that lost its lease may still be writing.
            if all(time is None or time < before for time in times):
                with self._db.write() as session:
                    session.execute(update(Job).where(Job.id == job_id).values(freed_at=now()))


async def reap_for_ever(reaper: Reaper, every_seconds: float) -> None:
    """Go a round now and then; a database that is away is waited for, and logged once."""
    away = False
    while True:
        try:
            await asyncio.to_thread(reaper.round)
        except Exception:
            if not away:
                log.exception("Cannot look for files to free now; will try on")
            away = True
        else:
            away = False
        await asyncio.sleep(every_seconds)
