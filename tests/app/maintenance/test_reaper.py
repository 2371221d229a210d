"""What the reaper removes, and what it leaves alone."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.blobs import Blobs
from app.corpora.models import Corpus
from app.db import Database, now
from app.ids import new_id
from app.jobs import service, transitions
from app.jobs.models import Job
from app.maintenance import duty
from app.maintenance.ownership import MARKER
from app.maintenance.reaper import DUTY, Reaper
from app.settings import Settings
from tests.support.job_store import ENDED, LEASE, add_job, cancel, read

LONG_AGO = timedelta(days=3)


def add_files(blobs: Blobs, prefix: str, *paths: str) -> None:
    for path in paths:
        blobs.put(f"{prefix}/{path}", b"x")


def add_attempt(blobs: Blobs, settings: Settings, job_id: str, token: int) -> Path:
    """Everything that an attempt writes; returns its workspace."""
    prefix = f"jobs/{job_id}"
    add_files(blobs, f"{prefix}/stages/{token}", "resolve/base.json", "transfer/300/model")
    add_files(blobs, f"{prefix}/results/{token}", "artifact.tar.gz", "artifact/report.json")
    workspace = settings.workspaces / job_id / str(token)
    (workspace / "resolve").mkdir(parents=True)
    (workspace / "resolve" / "base.json").write_text("{}")
    return workspace


def artifact(job_id: str, token: int) -> dict[str, object]:
    prefix = f"jobs/{job_id}/results/{token}"
    return {"prefix": prefix, "bytes": 1, "sha256": "0", "files": []}


def add_corpus(db: Database, blobs: Blobs) -> Corpus:
    with db.write() as session:
        corpus = Corpus(format="text", bytes=1, sha256="0", documents=1, characters=1)
        session.add(corpus)
    blobs.put(corpus.blob_key, b"x")
    return corpus


def keys(blobs: Blobs, prefix: str = "") -> set[str]:
    return set(blobs.keys(prefix)) - {MARKER}


def empty_folders(blobs: Blobs) -> list[str]:
    if blobs.folder is None:
        return []
    return [path for path, folders, files in os.walk(blobs.folder) if not folders and not files]


def age(blobs: Blobs, prefix: str) -> None:
    """Make files in a folder look old."""
    assert blobs.folder
    for path in (blobs.folder / prefix).rglob("*"):
        then = (now() - LONG_AGO).timestamp()
        os.utime(path, (then, then))


def test_all_that_is_left_when_nobody_cleans_up(
    db: Database, blobs: Blobs, settings: Settings
) -> None:
    """Each of these jobs had its worker killed at another moment."""
    kept = set[str]()
    workspaces = []
    # Between its success and the cleaning, after an attempt that another one took over.
    done = add_job(db)
    transitions.claim(db, done, "w", ENDED)
    transitions.expire(db, done)
    claim = transitions.claim(db, done, "w", LEASE)
    assert claim
    workspaces += [add_attempt(blobs, settings, done, token) for token in (1, 2)]
    transitions.succeed(db, claim, {}, artifact(done, 2))
    kept |= {
        f"jobs/{done}/results/2/{name}" for name in ("artifact.tar.gz", "artifact/report.json")
    }
    # At its only attempt.
    lost = add_job(db, max_attempts=1)
    transitions.claim(db, lost, "w", ENDED)
    workspaces.append(add_attempt(blobs, settings, lost, 1))
    transitions.expire(db, lost)
    # After it was told to stop.
    cancelled = add_job(db)
    transitions.claim(db, cancelled, "w", ENDED)
    workspaces.append(add_attempt(blobs, settings, cancelled, 1))
    cancel(db, cancelled)
    transitions.expire(db, cancelled)
    # While it waited for its next attempt.
    waiting = add_job(db)
    transitions.claim(db, waiting, "w", ENDED)
    workspaces.append(add_attempt(blobs, settings, waiting, 1))
    transitions.expire(db, waiting)
    cancel(db, waiting)
    # After it was deleted, by a worker that did not know.
    gone = new_id("job")
    workspaces.append(add_attempt(blobs, settings, gone, 1))

    assert Reaper(db, blobs, settings).round()
    assert keys(blobs) == kept
    assert not any(path.exists() for path in workspaces)
    assert list(settings.workspaces.iterdir()) == []
    assert empty_folders(blobs) == []


def test_nothing_of_a_job_that_may_go_on_is_removed(
    db: Database, blobs: Blobs, settings: Settings
) -> None:
    queued, running = add_job(db), add_job(db)
    # Handed back: its next attempt finds the stages of the first, its workspace is of no use.
    transitions.claim(db, queued, "w", ENDED)
    unused = add_attempt(blobs, settings, queued, 1)
    transitions.expire(db, queued)
    transitions.claim(db, running, "w", ENDED)
    transitions.expire(db, running)
    old = add_attempt(blobs, settings, running, 1)
    transitions.claim(db, running, "w", LEASE)
    used = add_attempt(blobs, settings, running, 2)
    before = keys(blobs)
    assert Reaper(db, blobs, settings).round()
    assert keys(blobs) == before
    assert (used / "resolve" / "base.json").exists()
    assert not unused.exists()
    assert not old.exists()


def test_an_upload_without_a_row_is_kept_until_it_is_old(
    db: Database, blobs: Blobs, settings: Settings
) -> None:
    known, uploading = add_corpus(db, blobs), f"corpora/{new_id('corpus')}"
    add_files(blobs, uploading, "data")
    assert Reaper(db, blobs, settings).round()
    assert keys(blobs) == {known.blob_key, f"{uploading}/data"}
    brief = settings.model_copy(update={"abandoned_seconds": 0.5})
    time.sleep(2)
    assert Reaper(db, blobs, brief).round()
    assert keys(blobs) == {known.blob_key}


def test_an_unfinished_upload_is_kept_until_nobody_writes_to_it(
    blobs: Blobs, reaper: Reaper
) -> None:
    """The writer of one is killed; that of the other goes on."""
    if blobs.folder is None:
        pytest.skip("on S3 the age is that of the upload")
    abandoned, live = (f"corpora/{new_id('corpus')}" for _ in range(2))

    async def write() -> None:
        forgotten, writer = blobs.writer(f"{abandoned}/data"), blobs.writer(f"{live}/data")
        for each in (forgotten, writer):
            await each.write(b"x" * (20 << 20))
        # What was handed over is written by other threads, which would make the file young again.
        await asyncio.sleep(1)
        age(blobs, abandoned)
        assert await asyncio.to_thread(reaper.round)
        assert blobs.folder
        left = [path.parent.name for path in (blobs.folder / "corpora").glob("*/data#*")]
        assert left == [live.rpartition("/")[2]]
        await writer.write(b"y")
        await writer.close()

    asyncio.run(write())
    assert blobs.size(f"{live}/data") == (20 << 20) + 1
    assert blobs.folder
    assert not (blobs.folder / abandoned).exists()


def test_an_open_upload_on_s3_is_aborted(blobs: Blobs, reaper: Reaper) -> None:
    if blobs.folder:
        pytest.skip("a folder has none")
    opened = blobs._open_uploads
    assert opened
    client, bucket, prefix = opened._client, opened._bucket, opened._prefix

    async def leave_open(key: str) -> None:
        await blobs.writer(key).write(b"x" * (20 << 20))

    def open_keys() -> list[str]:
        found = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [upload["Key"] for upload in found if upload["Key"].startswith(prefix)]

    for name in ("one", "two"):
        asyncio.run(leave_open(f"corpora/{name}/data"))
    assert len(open_keys()) == 2
    # The server of the tests says of each upload that it began in November 2010.
    assert opened.abort("", datetime(2010, 11, 1, tzinfo=UTC)) == 0
    assert len(open_keys()) == 2
    blobs.discard_upload("corpora/one")
    assert open_keys() == [f"{prefix}corpora/two/data"]
    assert reaper.round()
    assert open_keys() == []


def test_a_worker_that_lost_its_lease_may_write_until_the_job_is_settled(
    db: Database, blobs: Blobs, settings: Settings
) -> None:
    job_id, reaper = add_job(db), Reaper(db, blobs, settings)
    claim = transitions.claim(db, job_id, "w", LEASE)
    assert claim
    transitions.succeed(db, claim, {}, artifact(job_id, 1))
    assert reaper.round()
    add_attempt(blobs, settings, job_id, 7)
    assert reaper.round()
    assert keys(blobs) == set()
    assert read(db, job_id).freed_at is None
    with db.write() as session:
        session.execute(update(Job).values(finished_at=now() - LONG_AGO))
    assert reaper.round()
    assert read(db, job_id).freed_at


def test_a_deletion_that_was_killed_is_finished(
    db: Database, blobs: Blobs, settings: Settings, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job(db)
    claim = transitions.claim(db, job_id, "w", LEASE)
    assert claim
    add_attempt(blobs, settings, job_id, 1)
    transitions.succeed(db, claim, {}, artifact(job_id, 1))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "delete_all", killed)
        with pytest.raises(KeyboardInterrupt):
            service.delete(db, blobs, job_id)
    with db.read() as session:
        assert session.get(Job, job_id) is None
    assert keys(blobs)
    assert reaper.round()
    assert keys(blobs) == set()


def test_a_storage_of_another_database_is_left_alone(
    db: Database, blobs: Blobs, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_corpus(db, blobs)
    assert Reaper(db, blobs, settings).round()
    job = f"jobs/{new_id('job')}"
    add_files(blobs, job, "results/1/artifact.tar.gz")
    other = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    other.migrate()
    before = keys(blobs)
    stranger = Reaper(other, blobs, settings)
    assert stranger.round()
    assert stranger.round()
    assert keys(blobs) == before
    assert caplog.text.count("Nothing in the storage") == 1
    assert Reaper(db, blobs, settings).round()
    assert keys(blobs, "jobs") == set()
    # Nor is one taken over that does not say whose it is, and holds what is not known.
    blobs.delete([MARKER])
    assert stranger.round()
    assert blobs.size(MARKER) is None
    other.close()


def test_one_at_a_time_goes_the_round(db: Database, blobs: Blobs, settings: Settings) -> None:
    for _ in range(20):
        add_files(blobs, f"jobs/{new_id('job')}", "stages/1/a", "stages/1/b")
    add_corpus(db, blobs)
    reapers = [Reaper(db, blobs, settings) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        went = list(pool.map(Reaper.round, reapers))
    assert any(went)
    assert keys(blobs, "jobs") == set()
    assert duty.take(db, DUTY, "someone", timedelta(minutes=1))
    assert not any(reaper.round() for reaper in reapers)


def test_a_duty_is_one_holders_until_it_ends(db: Database) -> None:
    minute = timedelta(minutes=1)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: duty.take(db, "d", f"h{n}", minute), range(8)))
    assert taken.count(True) == 1
    holder = f"h{taken.index(True)}"
    assert duty.take(db, "d", holder, ENDED)
    assert duty.take(db, "d", "next", minute)
    assert not duty.take(db, "d", holder, minute)
    duty.give_up(db, "d", holder)  # not its to give up
    assert not duty.take(db, "d", holder, minute)
    duty.give_up(db, "d", "next")
    assert duty.take(db, "d", holder, minute)


def test_a_reaper_that_is_stopped_stops(db: Database, blobs: Blobs, settings: Settings) -> None:
    add_files(blobs, f"jobs/{new_id('job')}", "stages/1/a")
    before, reaper = keys(blobs), Reaper(db, blobs, settings)
    reaper.stop()
    assert not reaper.round()
    assert keys(blobs) == before
