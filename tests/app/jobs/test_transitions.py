"""Every change of a job's state, on both databases."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.errors import JobError
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.transitions import LeaseLostError
from tests.support.job_store import ENDED, LEASE, add_job, at_once, cancel, event_types, read

FAULT = JobError(type="system", code="broken", message="It broke.", retryable=True)
TOGETHER = 6


def test_one_of_many_claims_wins(db: Database) -> None:
    job_id = add_job(db)
    claims = at_once(*[lambda: transitions.claim(db, job_id, "w", LEASE)] * TOGETHER)
    assert len([claim for claim in claims if claim]) == 1
    assert read(db, job_id).attempt == 1
    assert event_types(db, job_id) == ["job.queued", "job.started"]


def test_a_lease_that_ends_is_taken_up_once(db: Database) -> None:
    job_id = add_job(db)
    transitions.claim(db, job_id, "w", ENDED)
    at_once(*[lambda: transitions.expire(db, job_id)] * TOGETHER)
    assert read(db, job_id).status == Status.QUEUED
    assert event_types(db, job_id).count("job.retrying") == 1


@pytest.mark.parametrize("_again", range(5))
def test_a_cancellation_and_an_end_agree(db: Database, _again: int) -> None:
    job_id = add_job(db)
    claim = transitions.claim(db, job_id, "w", LEASE)
    assert claim
    _, end = at_once(
        lambda: cancel(db, job_id), lambda: transitions.succeed(db, claim, {}, {"bytes": 1})
    )
    job = read(db, job_id)
    assert job.status == end
    assert (job.status == Status.SUCCEEDED) == (job.artifact is not None)
    assert event_types(db, job_id)[-1] == f"job.{end}"


def test_heartbeats_cancellation_and_expiry_at_once(db: Database) -> None:
    job_id = add_job(db)
    claim = transitions.claim(db, job_id, "w", ENDED)
    assert claim
    at_once(
        lambda: transitions.renew(db, claim, LEASE),
        lambda: cancel(db, job_id),
        lambda: transitions.expire(db, job_id),
        lambda: transitions.report_progress(db, claim, 0.5, "half", None),
    )
    job = read(db, job_id)
    assert job.status in {Status.CANCELLING, Status.CANCELLED}
    assert (job.due_at is None) == (job.status == Status.CANCELLED)


def test_a_worker_that_is_lost_every_time_fails_the_job(db: Database) -> None:
    job_id = add_job(db, max_attempts=2)
    for must_ring in (True, False):
        assert transitions.claim(db, job_id, "w", ENDED)
        assert transitions.expire(db, job_id) is must_ring
    job = read(db, job_id)
    assert job.status == Status.FAILED
    assert job.error == transitions.WORKER_LOST.model_dump()
    assert not transitions.expire(db, job_id)


def test_a_job_handed_back_waits_for_its_delay(db: Database) -> None:
    job_id = add_job(db)
    claim = transitions.claim(db, job_id, "w", LEASE)
    assert claim
    transitions.hand_back(db, claim, FAULT, LEASE)
    assert job_id not in transitions.due(db, limit=10_000)
    assert read(db, job_id).worker is None


def test_a_job_handed_back_by_a_stopped_worker_is_due_at_once_and_has_all_its_attempts(
    db: Database,
) -> None:
    job_id = add_job(db, max_attempts=1)
    claims = []
    for _ in range(3):
        claim = transitions.claim(db, job_id, "w", LEASE)
        assert claim
        assert claim.attempt == 1
        assert transitions.release(db, claim) == Status.QUEUED
        assert job_id in transitions.due(db, limit=10_000)
        claims.append(claim)
    assert read(db, job_id).attempt == 0
    with pytest.raises(LeaseLostError):
        transitions.release(db, claims[-1])


def test_a_cancellation_wins_over_a_stopped_worker(db: Database) -> None:
    job_id = add_job(db)
    claim = transitions.claim(db, job_id, "w", LEASE)
    assert claim
    cancel(db, job_id)
    assert transitions.release(db, claim) == Status.CANCELLED


@given(st.integers(1, 10_000))
def test_retries_wait_longer_each_time_up_to_a_limit_and_not_all_alike(attempt: int) -> None:
    delays = [transitions.retry_delay(attempt) for _ in range(50)]
    usual = min(timedelta(seconds=10) * 2 ** min(attempt - 1, 10), timedelta(minutes=10))
    assert all(usual / 2 <= delay <= usual for delay in delays)
    assert len(set(delays)) > 1


def test_a_job_is_due_until_it_is_rung_for(db: Database) -> None:
    job_id = add_job(db)
    assert job_id in transitions.due(db, limit=10_000)
    assert job_id in transitions.take_due(db, limit=10_000)
    assert job_id not in transitions.due(db, limit=10_000)


def test_a_late_message_does_not_shorten_a_lease(db: Database) -> None:
    job_id = add_job(db)
    transitions.claim(db, job_id, "w", timedelta(hours=1))
    before = read(db, job_id).due_at
    assert job_id not in transitions.take_due(db, limit=10_000)
    transitions.give_up(db, [job_id])
    assert read(db, job_id).due_at == before


def test_nothing_is_known_of_a_job_that_is_not_there(db: Database) -> None:
    assert transitions.claim(db, "job_gone", "w", LEASE) is None
    assert not transitions.expire(db, "job_gone")


def test_the_message_follows_the_state(db: Database) -> None:
    job_id = add_job(db)
    claim = transitions.claim(db, job_id, "w", LEASE)
    assert claim
    transitions.report_progress(db, claim, 0.5, "counting words", 3.0)
    transitions.hand_back(db, claim, FAULT, timedelta())
    job = read(db, job_id)
    assert (job.message, job.eta_seconds) == ("waiting for a worker", None)
    transitions.claim(db, job_id, "w", LEASE)
    assert read(db, job_id).message == "starting"
    cancel(db, job_id)
    assert read(db, job_id).message == "stopping"
