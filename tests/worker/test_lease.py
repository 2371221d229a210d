import time
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from app.jobs.transitions import Claim, LeaseLostError
from app.settings import Settings
from worker.lease import CancelledError, Lease


def claim(db: Database, job: Job, seconds: float) -> Claim:
    taken = transitions.claim(db, job.id, "tester", timedelta(seconds=seconds))
    assert taken
    return taken


def wait_for(lease: Lease, error: type[Exception]) -> None:
    """Check as a stage does until the lease says stop."""
    end = time.monotonic() + 10
    with pytest.raises(error):  # noqa: PT012
        while time.monotonic() < end:
            lease.check()
            time.sleep(0.05)


@pytest.mark.slow
def test_a_held_job_stays_its_workers_beyond_the_first_lease(
    db: Database, job: Job, settings: Settings
) -> None:
    with Lease(db, claim(db, job, settings.lease_seconds), settings) as lease:
        time.sleep(settings.lease_seconds + 1)
        assert transitions.due(db) == []
        lease.check()


def test_hears_that_the_job_is_to_be_cancelled(db: Database, job: Job, settings: Settings) -> None:
    with Lease(db, claim(db, job, 60), settings) as lease:
        lease.check()
        with db.write() as session:
            transitions.request_cancel(session, session.get_one(Job, job.id))
        wait_for(lease, CancelledError)


def test_hears_that_another_worker_has_the_job(db: Database, job: Job, settings: Settings) -> None:
    with Lease(db, claim(db, job, 60), settings) as lease:
        with db.write() as session:
            session.execute(update(Job).values(fencing_token=Job.fencing_token + 1))
        wait_for(lease, LeaseLostError)


def test_survives_a_short_outage_of_the_database(
    db: Database, job: Job, settings: Settings
) -> None:
    held = claim(db, job, 60)
    with Lease(db, held, settings) as lease:
        with db.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE jobs RENAME TO jobs_away")
        time.sleep(3 * settings.heartbeat_seconds)
        with db.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE jobs_away RENAME TO jobs")
        lease.check()
        time.sleep(3 * settings.heartbeat_seconds)
        assert transitions.renew(db, held, timedelta(seconds=60)) == "running"
