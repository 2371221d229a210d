"""A real Celery worker process, and jobs brought to it as the front end does."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy import select

from app.blobs import Blobs
from app.broker import QUEUE, Dispatcher
from app.contract.recipe import Recipe
from app.contract.states import TERMINAL
from app.corpora.models import Corpus
from app.db import Database
from app.jobs import transitions
from app.jobs.dispatch import dispatch_round
from app.jobs.models import Job, JobEvent
from app.settings import Settings
from tests.support.job_store import read

COMMAND = (
    *(sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker"),
    *(
        "--without-mingle",
        "--without-gossip",
        "-P",
        "prefork",
        "-c",
        "1",
        "-Q",
        QUEUE,
        "--loglevel",
        "INFO",
    ),
)


@contextmanager
def worker_process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with these settings, in a process group of its own that is killed at the end."""
    environment = os.environ | {
        f"FVT_{name.upper()}": json.dumps(value) if isinstance(value, list) else str(value)
        for name, value in settings.model_dump(mode="json", exclude={"api_keys"}).items()
        if value is not None
    }
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            COMMAND, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """`kill -9` of the worker and of the pool process that runs its job."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def store_corpus(db: Database, blobs: Blobs, texts: Iterable[str]) -> Corpus:
    """A plain text corpus, as an upload leaves it."""
    return store_lines(db, blobs, "text", [" ".join(text.split()) for text in texts])


def store_lines(db: Database, blobs: Blobs, layout: str, lines: Sequence[str]) -> Corpus:
    """A corpus of a format of lines, as an upload leaves it."""
    data = "\n".join(lines).encode()
    corpus = Corpus(
        format=layout,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        documents=len(lines),
        characters=sum(map(len, lines)),
    )
    with db.write() as session:
        session.add(corpus)
        session.flush()
        blobs.put(corpus.blob_key, data)
    return corpus


def submit(db: Database, corpus_id: str, base_model: str, recipe: Recipe | None = None) -> Job:
    job = Job(
        base_model=base_model,
        corpus_id=corpus_id,
        recipe=(recipe or Recipe()).model_dump(),
        labels={},
        max_attempts=3,
    )
    with db.write() as session:
        transitions.submit(session, job)
    return job


def events(db: Database, job_id: str) -> list[tuple[str, str | None]]:
    """Types of the job's events, with the stage where there is one; without progress."""
    with db.read() as session:
        query = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.sequence)
        found = [(event.type, event.data.get("stage")) for event in session.scalars(query)]
    return [event for event in found if event[0] != "job.progress"]


def wait_until(condition: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def wait_for_end(settings: Settings, db: Database, job_id: str, seconds: float = 240) -> Job:
    """Ring as the front end does until the job has ended."""
    dispatcher = Dispatcher(settings)

    def ended() -> bool:
        dispatch_round(db, dispatcher)
        return read(db, job_id).status in TERMINAL

    wait_until(ended, seconds)
    return read(db, job_id)
