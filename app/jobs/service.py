"""Jobs in the store: submitted, found, listed, cancelled, deleted."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.base_models.checks import ModelFacts
from app.blobs import Blobs
from app.contract.states import ACTIVE, Status
from app.corpora.models import Corpus
from app.db import Database
from app.errors import ConflictError, NotFoundError, UnprocessableError
from app.ids import is_id
from app.jobs import transitions
from app.jobs.models import IdempotencyKey, Job
from app.jobs.schemas import JobFields, JobQuery
from app.jobs.validation import check_has_text, check_room, hold_corpus, hold_other_corpora
from app.maintenance.files import free
from app.pagination import fetch_page
from app.settings import Settings
from app.waits import retried


@dataclass(frozen=True)
class Key:
    """A client's key and the digest of what it was sent with."""

    text: str
    request_sha256: str


def make_key(text: str | None, fields: JobFields, corpus: dict[str, str | None]) -> Key | None:
    """The key of a submission, if it has one; `corpus` describes the file that came with it."""
    if text is None:
        return None
    request = [fields.model_dump(mode="json", exclude_unset=True), corpus]
    document = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
    return Key(text, hashlib.sha256(document).hexdigest())


def find_job(session: Session, key: Key | None) -> Job | None:
    """The job that this very submission made before."""
    known = session.get(IdempotencyKey, key.text) if key else None
    if key is None or known is None:
        return None
    if known.request_sha256 != key.request_sha256:
        raise UnprocessableError(
            "idempotency_key_reused",
            f"This Idempotency-Key came before with another request, which made {known.job_id}. "
            "Take a new key for a new job.",
        )
    return session.get(Job, known.job_id)


def keep_key(session: Session, key: Key | None, job: Job) -> None:
    """Bind the key to the job; raises `IntegrityError` where another request was faster."""
    if key:
        session.add(IdempotencyKey(key=key.text, request_sha256=key.request_sha256, job_id=job.id))
        session.flush()


def find_earlier(db: Database, key: Key | None) -> Job | None:
    """The job that this very submission made before, looked up by itself."""
    with db.read() as session:
        return find_job(session, key)


def submit(  # noqa: PLR0913, PLR0917
    db: Database,
    blobs: Blobs,
    settings: Settings,
    fields: JobFields,
    facts: ModelFacts | None,
    corpus: Corpus | str,
    key: Key | None,
) -> tuple[Job, bool]:
    """Queue a job on a new corpus, or on the one of this id.

    Its base model was checked before; `facts` are what is known of one that is here.

    Returns the job and whether the same submission had made it before.
    """

    def check(corpora: Sequence[Corpus]) -> None:
        check_room(fields.recipe, facts, corpora, settings, blobs)

    try:
        return _insert(db, settings, fields, corpus, key, check)
    except IntegrityError:
        if key is None:
            raise
        # The same key came twice at once, and the other request was faster.
        return _insert(db, settings, fields, corpus, key, check)


@retried
def _insert(  # noqa: PLR0913, PLR0917
    db: Database,
    settings: Settings,
    fields: JobFields,
    corpus: Corpus | str,
    key: Key | None,
    check: Callable[[Sequence[Corpus]], None],
) -> tuple[Job, bool]:
    """Add a job; `check` raises where there is no room for one on these corpora."""
    with db.write() as session:
        if earlier := find_job(session, key):
            return earlier, True
        if isinstance(corpus, Corpus):
            session.add(corpus)
        else:
            corpus = hold_corpus(session, corpus)
        check_has_text(corpus.format)
        check([corpus, *hold_other_corpora(session, fields.recipe, corpus)])
        job = Job(
            base_model=fields.base_model,
            revision=fields.revision,
            corpus_id=corpus.id,
            recipe=fields.recipe.model_dump(mode="json"),
            name=fields.name,
            labels=fields.metadata,
            max_attempts=settings.max_attempts,
        )
        transitions.submit(session, job)
        keep_key(session, key, job)
        return job, False


def get_job(session: Session, job_id: str) -> Job:
    """The job, or the 404 that says it is not there."""
    if is_id(job_id) and (job := session.get(Job, job_id)):
        return job
    raise NotFoundError("job_not_found", f"There is no job {job_id!r}. `GET /v1/jobs` lists them.")


def read_job(db: Database, job_id: str) -> Job:
    """A job as it is now."""
    with db.read() as session:
        return get_job(session, job_id)


def list_jobs(db: Database, query: JobQuery) -> tuple[Sequence[Job], bool]:
    """A page of jobs, newest first, and whether more follow."""
    statement = select(Job)
    if query.status:
        statement = statement.where(Job.status == query.status)
    with db.read() as session:
        return fetch_page(session, statement, Job.id, query)


def queue_positions(db: Database, jobs: Sequence[Job]) -> dict[str, int]:
    """The places in the queue of those of the jobs that wait in it, by their ids."""
    waiting = [job.id for job in jobs if job.status == Status.QUEUED]
    if not waiting:
        return {}
    place = func.row_number().over(order_by=(Job.created_at, Job.id)).label("place")
    queue = select(Job.id, place).where(Job.status == Status.QUEUED).subquery()
    with db.read() as session:
        rows = session.execute(select(queue.c.id, queue.c.place).where(queue.c.id.in_(waiting)))
        return {row.id: row.place for row in rows}


@retried
def cancel(db: Database, job_id: str) -> Job:
    """Cancel a job, or ask its worker to stop; again, it changes nothing."""
    with db.write() as session:
        job = get_job(session, job_id)
        transitions.request_cancel(session, job)
        if job.status in {Status.SUCCEEDED, Status.FAILED}:
            raise ConflictError(
                "job_already_ended", f"{job_id} has {job.status}; there is nothing to cancel."
            )
        return job


def delete(db: Database, blobs: Blobs, job_id: str) -> None:
    """Delete an ended job with its events, checkpoints and keys, then free its files.

    Rows go before files everywhere (docs/decisions/0014): what a kill leaves, the reaper finds.
    """
    with db.write() as session:
        job = get_job(session, job_id)
        if job.status in ACTIVE:
            raise ConflictError(
                "job_active",
                f"{job_id} is {job.status}. Cancel it and wait for its end, then delete.",
            )
        session.delete(job)
    free(blobs, job.blob_prefix)
