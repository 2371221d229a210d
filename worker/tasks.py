"""The Celery task: claim the job that the message names, run it, say how it ended."""

import logging
import os
import socket
from datetime import timedelta

from celery import shared_task

from app.blobs import Blobs
from app.broker import RUN_JOB
from app.db import Database
from app.jobs import transitions
from app.settings import get_settings

log = logging.getLogger(__name__)


@shared_task(name=RUN_JOB)
def run_job(job_id: str) -> None:
    """Run a job if it waits; a message that comes late or twice does nothing."""
    settings = get_settings()
    # A worker bridges what is shorter than its lease: after that the job is another's anyway.
    db = Database(
        settings.database_url, wait=settings.database_seconds, patience=settings.lease_seconds
    )
    if not transitions.waits(db, job_id):
        log.info("%s does not wait for a worker", job_id)
        return
    # The worker's parent process has it imported; whoever else imports the tasks needs no engine.
    from worker.runner import run_to_an_end  # noqa: PLC0415

    lease = timedelta(seconds=settings.lease_seconds)
    if claim := transitions.claim(db, job_id, worker_name(), lease):
        run_to_an_end(claim, settings, db, Blobs(settings.blobs_url))


def worker_name() -> str:
    """Host and process: who holds a job, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"
