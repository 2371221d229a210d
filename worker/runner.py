"""Running a claimed job: its stages in order, each once, and whatever ends it."""

import logging
import time
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import select

from app.base_models.catalog import HubUnreachableError
from app.blobs import Blobs
from app.contract.errors import JobError, UserFault
from app.contract.results import PackagedResult
from app.contract.states import TERMINAL, Status
from app.contract.text import storable
from app.db import Database
from app.extensions import import_engine
from app.jobs import transitions
from app.jobs.models import StageCheckpoint
from app.jobs.transitions import Claim, LeaseLostError
from app.settings import Settings
from worker.compression import ArtifactCheckFailedError, CompressionError
from worker.compression.models.faults import is_panic
from worker.context import JobContext, load_context
from worker.lease import CancelledError, Lease
from worker.stages import STAGES, Stage, shares

log = logging.getLogger(__name__)

RETRY_DELAY = timedelta(seconds=10)
TIME_LIMIT = JobError(
    type="system",
    code="time_limit",
    message="The job ran into this installation's time limit. Use a smaller corpus, or have "
    "FVT_JOB_TIME_LIMIT_SECONDS raised.",
    retryable=False,
)
TOKENIZER_PANICKED = JobError(
    type="system",
    code="tokenizer_panicked",
    message="The tokenizers library broke down on this model's tokenizer or on a text of the "
    "corpus. Choose another base model, or leave out what is unusual in the corpus.",
    retryable=False,
)


def end_badly(db: Database, claim: Claim, error: BaseException) -> Status:
    """Write down why the job did not succeed; returns the status it has now."""
    if isinstance(error, CancelledError):
        return transitions.cancelled(db, claim)
    if isinstance(error, ArtifactCheckFailedError):
        # Our fault, and the same at every attempt.
        log.error("%s failed its check", claim.job_id, exc_info=error)
        return transitions.fail(db, claim, _check_error(error))
    if isinstance(error, (UserFault, CompressionError)):
        return transitions.fail(db, claim, _user_error(error))
    if isinstance(error, SoftTimeLimitExceeded):
        return transitions.fail(db, claim, TIME_LIMIT)
    log.error("%s failed", claim.job_id, exc_info=error)
    if is_panic(error):
        return transitions.fail(db, claim, TOKENIZER_PANICKED)
    return transitions.hand_back(db, claim, _system_error(error), RETRY_DELAY)


def _user_error(error: UserFault | CompressionError) -> JobError:
    return JobError(type="user", code=error.code, message=storable(str(error)), retryable=False)


def _check_error(error: ArtifactCheckFailedError) -> JobError:
    return JobError(type="system", code=error.code, message=storable(str(error)), retryable=False)


def _system_error(error: BaseException) -> JobError:
    if isinstance(error, HubUnreachableError):
        return JobError(
            type="system", code=error.code, message=storable(str(error)), retryable=True
        )
    code = getattr(error, "code", None) or "internal_error"
    message = f"Something broke on our side ({type(error).__name__}); the worker's log has it."
    return JobError(type="system", code=code, message=message, retryable=True)


def run_to_an_end(claim: Claim, settings: Settings, db: Database, blobs: Blobs) -> None:
    """Run the job until it ends, is handed back, or is no longer this worker's."""
    import_engine(settings)
    context = load_context(claim, settings, db, blobs, shares)
    try:
        status = run_stages(context)
    except LeaseLostError:
        log.warning("%s is another worker's now, or was deleted", claim.job_id)
        context.workspace.leave()
        return
    if status in TERMINAL:
        context.workspace.clear()
    else:
        context.workspace.leave()


def run_stages(context: JobContext) -> Status:
    """Run every stage that has no checkpoint yet; returns the status the job then has."""
    db, claim = context.db, context.claim
    try:
        with Lease(db, claim, context.settings, context.progress.beat) as lease:
            done = checkpoints(context)
            for stage in STAGES:
                lease.check()
                if not restored(context, stage, done):
                    run_stage(context, lease, stage)
        return finish(context)
    except LeaseLostError:
        raise
    except BaseException as error:
        # A panic of the tokenizers library is no `Exception`; interrupts end the process.
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        return end_badly(db, claim, error)


def run_stage(context: JobContext, lease: Lease, stage: Stage) -> None:
    """Run one stage and keep its checkpoint."""
    db, claim = context.db, context.claim
    transitions.start_stage(db, claim, stage.name, context.progress.start_of(stage.name))
    began = time.perf_counter()
    context.progress.update(stage.name, 0.0, f"{stage.name} begins")

    def progress(fraction: float, message: str) -> None:
        lease.check()
        context.progress.update(stage.name, fraction, message)

    folder = context.workspace.resume(stage.name, context.partial)
    context.partial = None
    stage.run(context, folder, progress)
    outputs = context.workspace.save(stage.name)
    seconds = context.stage_seconds[stage.name] = time.perf_counter() - began
    context.progress.finished(stage.name, seconds)
    transitions.finish_stage(db, claim, stage.name, seconds, outputs)
    context.workspace.drop_partials(stage.name, but={})


def finish(context: JobContext) -> Status:
    """End the job with its result; as failed where that falls short of the gate."""
    db, claim = context.db, context.claim
    packaged = context.read(PackagedResult, "package", "artifact.json")
    kept = {"result": packaged.result.model_dump(), "artifact": packaged.artifact.model_dump()}
    if packaged.error:
        return transitions.fail(db, claim, packaged.error, **kept)
    return transitions.succeed(db, claim, **kept)


def checkpoints(context: JobContext) -> dict[str, StageCheckpoint]:
    """The stages that an earlier attempt finished."""
    with context.db.read() as session:
        query = select(StageCheckpoint).where(StageCheckpoint.job_id == context.claim.job_id)
        return {checkpoint.stage: checkpoint for checkpoint in session.scalars(query)}


def restored(context: JobContext, stage: Stage, done: dict[str, StageCheckpoint]) -> bool:
    """Restore a stage; False where it must run, and then no later checkpoint counts.

    Of that first one, what an earlier attempt had of it does.
    """
    checkpoint = done.get(stage.name)
    if checkpoint and context.workspace.restore(stage.name, checkpoint.outputs):
        context.stage_seconds[stage.name] = checkpoint.seconds
        return True
    if partial := done.get(transitions.partial_name(stage.name)):
        context.partial = partial.outputs
    done.clear()
    return False
