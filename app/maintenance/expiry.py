"""Find what the operator's settings keep no longer: corpora, results, ended jobs."""

from datetime import datetime, timedelta

from sqlalchemy import String, cast, func, or_, select, update

from app.blobs import Blobs
from app.contract.states import TERMINAL
from app.corpora import service as corpora
from app.corpora.models import Corpus
from app.db import Database, now
from app.errors import ProblemError
from app.jobs import service as jobs
from app.jobs.models import Job, find_corpus_reader
from app.maintenance.files import free
from app.settings import Settings

BATCH = 500


def expire(db: Database, blobs: Blobs, settings: Settings) -> None:
    """Delete what is older than its setting says; what has no setting stays."""
    # A result that nobody can begin to download any more may still be on its way to someone.
    downloaded = now() - timedelta(seconds=settings.abandoned_seconds)
    if settings.keep_artifacts_days:
        expire_artifacts(db, _before(settings.keep_artifacts_days))
    if settings.keep_jobs_days:
        ended = _before(settings.keep_jobs_days)
        expire_artifacts(db, ended)
        _delete_jobs(db, blobs, ended, downloaded)
    if settings.keep_corpora_days:
        _delete_corpora(db, blobs, _before(settings.keep_corpora_days))


def _before(days: float) -> datetime:
    return now() - timedelta(days=days)


HAS_ARTIFACT = func.coalesce(cast(Job.artifact, String), "null") != "null"


def expire_artifacts(db: Database, ended_before: datetime) -> None:
    """Give out no more results of jobs that ended before; their files go when they are freed."""
    ended = (Job.status.in_(TERMINAL), Job.finished_at < ended_before)
    kept = (HAS_ARTIFACT, Job.artifact_expired_at.is_(None))
    with db.write() as session:
        session.execute(
            update(Job)
            .where(*ended, *kept)
            .values(artifact_expired_at=now(), freed_at=None)
            .execution_options(synchronize_session=False)
        )


def _delete_jobs(
    db: Database, blobs: Blobs, ended_before: datetime, expired_before: datetime
) -> None:
    freed = or_(~HAS_ARTIFACT, Job.artifact_expired_at < expired_before)
    query = select(Job.id).where(Job.status.in_(TERMINAL), Job.finished_at < ended_before, freed)
    with db.read() as session:
        found = session.scalars(query.limit(BATCH)).all()
    for job_id in found:
        try:
            jobs.delete(db, blobs, job_id)
        except ProblemError:  # its user was faster
            continue


def _delete_corpora(db: Database, blobs: Blobs, created_before: datetime) -> None:
    with db.read() as session:
        query = select(Corpus.id).where(Corpus.created_at < created_before).order_by(Corpus.id)
        found = session.scalars(query).all()
    for corpus_id in found:
        try:
            with db.write() as session:
                corpus = corpora.delete(session, corpus_id, find_corpus_reader)
        except ProblemError:  # a job reads it, or its user was faster
            continue
        free(blobs, corpus.blob_prefix)
