"""The files of what is deleted, or of a job that ended."""

import logging
from datetime import datetime

from obstore.exceptions import BaseError

from app.blobs import Blobs
from app.contract.states import TERMINAL
from app.db import Database
from app.jobs.models import Job

log = logging.getLogger(__name__)


def free(blobs: Blobs, prefix: str) -> None:
    """Delete the files of a row that is gone; where that fails, the reaper does it later."""
    try:
        blobs.delete_all(prefix)
    except (BaseError, OSError):
        log.warning("The files under %s are deleted later", prefix, exc_info=True)


def free_ended_job(db: Database, blobs: Blobs, job_id: str, expired_before: datetime) -> None:
    """Delete what a job left in storage beside its result; nothing while it may still be run.

    Those are the mirrors of its stages, results of attempts that others took over, and a result
    that expired before this time: whoever began to download it then is done.
    """
    with db.read() as session:
        job = session.get(Job, job_id)
    if job is None or job.status not in TERMINAL:
        return
    expired = job.artifact_expired_at is not None and job.artifact_expired_at < expired_before
    kept = job.artifact["prefix"] if job.artifact and not expired else None
    blobs.delete_all(f"{job.blob_prefix}/stages")
    for token in blobs.children(f"{job.blob_prefix}/results"):
        prefix = f"{job.blob_prefix}/results/{token}"
        if prefix != kept:
            blobs.delete_all(prefix)
