"""The workspaces on one machine: of which jobs, and removed where no worker uses them."""

import logging
import shutil
from pathlib import Path

from sqlalchemy import select

from app.db import Database
from app.jobs.models import Job
from app.jobs.transitions import HELD
from app.partial_files import remove_if_empty

log = logging.getLogger(__name__)


def remove_unused_workspaces(folder: Path, db: Database) -> int:
    """Remove the folders of attempts that are over; returns how many.

    One is in use while its job runs under its fencing token. A worker that lost its lease may still
    write there: it can keep nothing, and hears so at its next heartbeat.
    """
    # Folders before rows: a claim is in the database before its folder is made.
    jobs = [path for path in folder.glob("*") if path.is_dir()]
    attempts = [path for job in jobs for path in job.glob("*")]
    used = _in_use(db) if jobs else {}
    unused = [path for path in attempts if used.get(path.parent.name) != path.name]
    for path in unused:
        shutil.rmtree(path, ignore_errors=True)
        log.info("Removed the workspace %s/%s, which no worker uses", path.parent.name, path.name)
    for job in jobs:
        if job.name not in used:
            remove_if_empty(job)
    return len(unused)


def _in_use(db: Database) -> dict[str, str]:
    """Return the attempt that holds each job, as the names of their folders."""
    query = select(Job.id, Job.fencing_token).where(Job.status.in_(HELD))
    with db.read() as session:
        return {id_: str(token) for id_, token in session.execute(query)}
