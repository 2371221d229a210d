"""What a doorbell starts: claim the job it names, run it, say how it ended."""

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
    db = Database(settings.database_url)
    lease = timedelta(seconds=settings.lease_seconds)
    claim = transitions.claim(db, job_id, worker_name(), lease)
    if claim is None:
        log.info("%s does not wait for a worker", job_id)
        return
    from worker.runner import run_to_an_end  # noqa: PLC0415  (here, in the forked child)

    run_to_an_end(claim, settings, db, Blobs(settings.blobs_url))


def worker_name() -> str:
    """Host and process: who holds a job, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"
