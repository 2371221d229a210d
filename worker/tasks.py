"""The Celery task: claim the job that the message names, run it, say how it ended."""

import logging
import os
import socket
from datetime import timedelta

from celery import shared_task

from app.broker import RUN_JOB
from app.jobs import transitions
from app.settings import get_settings
from worker import shutdown
from worker.lease import open_database

log = logging.getLogger(__name__)


@shared_task(name=RUN_JOB)
def run_job(job_id: str) -> None:
    """Run a job if it waits; a message that comes late or twice does nothing, and costs no fork."""
    settings = get_settings()
    db = open_database(settings)
    try:
        if shutdown.stop_requested() or not transitions.waits(db, job_id):
            log.info("%s does not wait for this worker", job_id)
            return
        # The worker's parent process has it imported; whoever else imports the tasks needs no
        # engine.
        from worker.runner import run_watched  # noqa: PLC0415

        lease = timedelta(seconds=settings.lease_seconds)
        if claim := transitions.claim(db, job_id, worker_name(), lease):
            run_watched(claim, settings, db)
    finally:
        db.close()


def worker_name() -> str:
    """Host and process: who holds a job, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"
