"""The calls of the job store, on both databases."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.corpora.models import Corpus
from app.db import Database
from app.errors import NotFoundError
from app.jobs import service, transitions
from app.jobs.events import read_events, read_news
from app.jobs.models import IdempotencyKey, Job, JobEvent
from app.jobs.schemas import JobFields, JobQuery, job_view
from app.jobs.service import Key
from app.settings import Settings
from tests.support.job_store import LEASE, add_job
from tests.support.serving import MODEL

FIELDS = JobFields(base_model=MODEL, recipe=Recipe(seed=3), metadata={"a": "b"})


def add_corpus(db: Database) -> str:
    with db.write() as session:
        corpus = Corpus(format="text", bytes=1, sha256="0", documents=1, characters=1)
        session.add(corpus)
    return corpus.id


def test_the_same_key_at_the_same_moment(db: Database, settings: Settings) -> None:
    corpus_id, key = add_corpus(db), Key("race", "0")
    with ThreadPoolExecutor(8) as pool:
        submitted = pool.map(
            lambda _: service.submit(
                db, Blobs(settings.blobs_url), settings, FIELDS, None, corpus_id, key
            ),
            range(8),
        )
        made = list(submitted)
    assert len({job.id for job, _ in made}) == 1
    assert [replayed for _, replayed in made].count(False) == 1
    with db.read() as session:
        assert session.query(Job).filter_by(corpus_id=corpus_id).count() == 1


def test_a_key_whose_corpus_is_gone_still_answers(db: Database, settings: Settings) -> None:
    corpus_id, key = add_corpus(db), Key("gone", "0")
    job, _ = service.submit(db, Blobs(settings.blobs_url), settings, FIELDS, None, corpus_id, key)
    with db.write() as session:
        session.delete(session.get_one(Corpus, corpus_id))
    again, replayed = service.submit(
        db, Blobs(settings.blobs_url), settings, FIELDS, None, corpus_id, key
    )
    assert (again.id, replayed) == (job.id, True)


def test_a_job_that_is_refused_leaves_nothing(db: Database, settings: Settings) -> None:
    with pytest.raises(NotFoundError):
        service.submit(
            db,
            Blobs(settings.blobs_url),
            settings,
            FIELDS,
            None,
            "corpus_gone",
            Key("refused", "0"),
        )
    with db.read() as session:
        assert session.get(IdempotencyKey, "refused") is None


def test_pages_of_jobs_in_one_state(db: Database) -> None:
    made = sorted(add_job(db) for _ in range(5))
    for job_id in made:
        service.cancel(db, job_id)
    seen: list[str] = []
    query = JobQuery(status=Status.CANCELLED, limit=2)
    more = True
    while more:
        page, more = service.list_jobs(db, query)
        seen += [job.id for job in page]
        query = JobQuery(status=Status.CANCELLED, limit=2, after=seen[-1])
    assert [job_id for job_id in seen if job_id in made] == made[::-1]


def test_a_job_is_deleted_with_its_rows(db: Database, settings: Settings, tmp_path: Path) -> None:
    job, _ = service.submit(
        db, Blobs(settings.blobs_url), settings, FIELDS, None, add_corpus(db), Key("deleted", "0")
    )
    claim = transitions.claim(db, job.id, "w", LEASE)
    assert claim
    transitions.finish_stage(db, claim, "tokenizer", 1.0, {})
    transitions.succeed(db, claim, {}, {})
    service.delete(db, Blobs(tmp_path.as_uri()), job.id)
    with db.read() as session:
        assert session.query(JobEvent).filter_by(job_id=job.id).count() == 0
        assert session.get(IdempotencyKey, "deleted") is None
    with pytest.raises(NotFoundError):
        service.read_job(db, job.id)


def test_pages_of_events(db: Database) -> None:
    job_id, other = add_job(db), add_job(db)
    claim = transitions.claim(db, job_id, "w", LEASE)
    assert claim
    transitions.claim(db, other, "w", LEASE)
    assert not read_news(db, job_id, 0)[1]
    transitions.fail(db, claim, transitions.WORKER_LOST)
    first, more = read_events(db, job_id, 0, 2)
    assert ([event.type for event in first], more) == (["job.queued", "job.started"], True)
    rest, ended = read_news(db, job_id, first[-1].sequence)
    assert ([event.type for event in rest], ended) == (["job.failed"], True)
    assert rest[0].data == {"error": transitions.WORKER_LOST.model_dump()}


def test_a_job_has_its_place_in_the_queue_and_the_time_it_has_taken(
    db: Database, settings: Settings
) -> None:
    with db.write() as session:
        for job in session.query(Job).filter_by(status=Status.QUEUED):
            transitions.request_cancel(session, job)
    corpus_id = add_corpus(db)
    blobs = Blobs(settings.blobs_url)
    submitted = [
        service.submit(db, blobs, settings, FIELDS, None, corpus_id, None) for _ in range(4)
    ]
    jobs = [job for job, _ in submitted]
    first, second, third, fourth = (job.id for job in jobs)
    assert service.queue_positions(db, jobs) == {first: 1, second: 2, third: 3, fourth: 4}
    assert service.queue_positions(db, jobs[2:]) == {third: 3, fourth: 4}
    service.cancel(db, second)
    claim = transitions.claim(db, first, "w", LEASE)
    assert claim
    now = [service.read_job(db, job.id) for job in jobs]
    assert service.queue_positions(db, now) == {third: 1, fourth: 2}
    running, waiting = job_view(now[0]), job_view(now[2], 1)
    assert (waiting.queue_position, waiting.elapsed_seconds) == (1, None)
    assert running.queue_position is None
    assert running.elapsed_seconds is not None
    assert 0 <= running.elapsed_seconds < 60
    with db.write() as session:
        job = session.get_one(Job, first)
        job.started_at = (job.started_at or job.created_at) - timedelta(seconds=90)
    transitions.succeed(db, claim, {}, {"bytes": 1, "sha256": "0"})
    ended = job_view(service.read_job(db, first)).elapsed_seconds
    time.sleep(0.2)
    assert job_view(service.read_job(db, first)).elapsed_seconds == ended
    assert ended is not None
    assert 90 <= ended < 150
