"""Any order of calls on the transitions keeps what clients and workers rely on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import inspect

from app.contract.errors import JobError
from app.contract.states import TERMINAL, TRANSITIONS, Status
from app.db import Database, now
from app.jobs import transitions
from app.jobs.models import Job
from app.jobs.transitions import HELD, Claim, LeaseLostError
from tests.support.job_store import add_job, cancel, event_types, read

HOUR = timedelta(hours=1)
LEASES = st.sampled_from([HOUR, -HOUR, -HOUR])
SELDOM = st.sampled_from([False, False, True])
FAULT = JobError(type="system", code="broken", message="It broke.", retryable=True)
MAX_ATTEMPTS = 2

Write = Callable[[Database, Claim], Any]
GOES_ON: dict[str, Write] = {
    "renew": lambda db, claim: transitions.renew(db, claim, -HOUR),
    "start_stage": lambda db, claim: transitions.start_stage(db, claim, "tokenizer", 0.2),
    "report": lambda db, claim: transitions.report_progress(db, claim, 0.3, "half", 9.0),
    "finish_stage": lambda db, claim: transitions.finish_stage(db, claim, "tokenizer", 1.5, {}),
    "hand_back": lambda db, claim: transitions.hand_back(db, claim, FAULT, timedelta()),
    "release": transitions.release,
}
ENDS: dict[str, Write] = {
    "succeed": lambda db, claim: transitions.succeed(db, claim, {"x": 1}, {"bytes": 1}),
    "fail": lambda db, claim: transitions.fail(db, claim, FAULT),
    "cancelled": transitions.cancelled,
}


def columns(job: Job) -> dict[str, Any]:
    return {column.key: getattr(job, column.key) for column in inspect(Job).column_attrs}


class JobLife(RuleBasedStateMachine):
    """One job, several workers of whom some are late, and a client who cancels."""

    db: Database
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.job_id = add_job(self.db, MAX_ATTEMPTS)
        self.before = columns(read(self.db, self.job_id))
        self.newest: Claim | None = None
        self.was_cancelled = False

    @rule(target=claims, lease=LEASES)
    def claim(self, lease: timedelta) -> Any:
        claim = transitions.claim(self.db, self.job_id, "w", lease)
        assert (claim is not None) == (self.status == Status.QUEUED)
        if claim is None:
            return multiple()
        assert self.newest is None or claim.token > self.newest.token
        self.newest = claim
        return claim

    @rule(claim=claims, name=st.sampled_from(sorted(GOES_ON)))
    def go_on(self, claim: Claim, name: str) -> None:
        self.write(claim, GOES_ON[name], self.holds(claim))

    @rule(claim=claims, name=st.sampled_from(sorted(ENDS)), does=SELDOM)
    def end(self, claim: Claim, name: str, does: bool) -> None:
        holds = self.holds(claim)
        if does or self.status != Status.RUNNING or not holds:
            stops = name != "cancelled" or self.status == Status.CANCELLING
            self.write(claim, ENDS[name], holds and stops)

    @rule(does=SELDOM)
    def cancel(self, does: bool) -> None:
        if does:
            cancel(self.db, self.job_id)
            self.was_cancelled |= self.status not in TERMINAL

    @rule()
    def expire(self) -> None:
        due = self.before["due_at"]
        late = self.status in HELD and due <= now()
        must_ring = transitions.expire(self.db, self.job_id)
        after = read(self.db, self.job_id)
        assert must_ring == (after.status == Status.QUEUED)
        assert (after.status != self.status) == late

    @rule()
    def rang(self) -> None:
        is_due = self.status == Status.QUEUED and self.before["due_at"] <= now()
        assert (self.job_id in transitions.take_due(self.db, limit=10_000)) == is_due

    def holds(self, claim: Claim) -> bool:
        return claim == self.newest and self.status in HELD

    def write(self, claim: Claim, write: Write, may: bool) -> None:
        """A write of a worker, which changes nothing where it may not."""
        events = event_types(self.db, self.job_id)
        try:
            write(self.db, claim)
        except LeaseLostError:
            assert not may
            assert columns(read(self.db, self.job_id)) == self.before
            assert event_types(self.db, self.job_id) == events
        else:
            assert may

    @property
    def status(self) -> Status:
        """The status before the rule that runs now."""
        return Status(self.before["status"])

    @invariant()
    def keeps_its_promises(self) -> None:
        job = read(self.db, self.job_id)
        after = Status(job.status)
        assert after == self.status or after in TRANSITIONS[self.status]
        if self.status in TERMINAL:
            assert columns(job) == self.before
        assert (job.due_at is None) == (job.finished_at is not None) == (after in TERMINAL)
        assert (job.result is not None) == (job.artifact is not None) == (after == "succeeded")
        assert (job.error is not None) == (after == "failed")
        assert not (self.was_cancelled and after in {"succeeded", "failed", "queued"})
        assert job.attempt <= MAX_ATTEMPTS
        assert event_types(self.db, self.job_id)[-1] == f"job.{after}" or after not in TERMINAL
        self.before = columns(job)


def test_any_order_of_calls(db: Database) -> None:
    JobLife.db = db
    run_state_machine_as_test(
        JobLife,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("name", [*GOES_ON, *ENDS])
def test_a_worker_that_lost_its_job_writes_nothing(db: Database, name: str) -> None:
    job_id = add_job(db)
    late = transitions.claim(db, job_id, "late", -HOUR)
    assert late
    transitions.expire(db, job_id)
    for is_taken_over in (False, True):
        if is_taken_over:
            transitions.claim(db, job_id, "new", HOUR)
        before = (columns(read(db, job_id)), event_types(db, job_id))
        with pytest.raises(LeaseLostError):
            {**GOES_ON, **ENDS}[name](db, late)
        assert (columns(read(db, job_id)), event_types(db, job_id)) == before
