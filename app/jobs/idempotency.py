"""One job for one `Idempotency-Key`, however often and however at once it is sent."""

import hashlib
from dataclasses import dataclass

import orjson
from sqlalchemy.orm import Session

from app.errors import UnprocessableError
from app.jobs.models import IdempotencyKey, Job
from app.jobs.schemas import JobFields


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
