"""How a job ends that did not succeed: whose fault it was, and whether to try again."""

import logging
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded

from app.db import Database
from app.failures import JobError, UserFault
from app.jobs import transitions
from app.jobs.state import Status
from app.jobs.transitions import Claim
from worker.compression import CompressionError
from worker.lease import CancelledError

log = logging.getLogger(__name__)

RETRY_DELAY = timedelta(seconds=10)
TIME_LIMIT = JobError(
    type="system",
    code="time_limit",
    message="The job ran into this installation's time limit. Use a smaller corpus, or have "
    "FVT_JOB_TIME_LIMIT_SECONDS raised.",
    retryable=False,
)


def end_badly(db: Database, claim: Claim, error: Exception) -> Status:
    """Write down why the job did not succeed; returns the status it has now."""
    if isinstance(error, CancelledError):
        return transitions.cancelled(db, claim)
    if isinstance(error, (UserFault, CompressionError)):
        return transitions.fail(db, claim, _user_error(error))
    if isinstance(error, SoftTimeLimitExceeded):
        return transitions.fail(db, claim, TIME_LIMIT)
    log.error("%s failed", claim.job_id, exc_info=error)
    return transitions.hand_back(db, claim, _system_error(error), RETRY_DELAY)


def _user_error(error: UserFault | CompressionError) -> JobError:
    return JobError(type="user", code=error.code, message=str(error), retryable=False)


def _system_error(error: Exception) -> JobError:
    code = getattr(error, "code", None) or "internal_error"
    message = f"Something broke on our side ({type(error).__name__}); the worker's log has it."
    return JobError(type="system", code=code, message=message, retryable=True)
