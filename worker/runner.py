"""Running a claimed job: its stages in order, each once, and whatever ends it."""

import logging
import time
from functools import partial

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.base_models.catalog import HubUnreachableError
from app.blobs import Blobs
from app.contract.errors import JobError, UserFault
from app.contract.results import PackagedResult
from app.contract.states import TERMINAL, Status
from app.contract.text import storable
from app.db import Database, now
from app.disk import is_full
from app.extensions import import_engine
from app.jobs import transitions
from app.jobs.models import Job, StageCheckpoint
from app.jobs.transitions import Claim, LeaseLostError
from app.maintenance.files import free_ended_job
from app.settings import Settings
from worker.compression import ArtifactCheckFailedError, CompressionError
from worker.compression.errors import LibraryCrashedError
from worker.compression.models.faults import is_panic
from worker.context import JobContext, load_context
from worker.disk import DiskFullError
from worker.lease import CancelledError, open_database
from worker.progress import beating
from worker.shutdown import StoppedError, check_may_go_on, signals_put_off
from worker.spare import Spare
from worker.stages import STAGES, Stage, shares
from worker.watchdog import (
    AttemptLostError,
    MemoryLimitError,
    TimeLimitError,
    Watchdog,
    run_apart,
)
from worker.workspace import Workspace

log = logging.getLogger(__name__)

NOT_OURS = "%s is another worker's now, or was deleted"
FULL_TRIES, FULL_WAIT_SECONDS = 20, 2.0
"""Tries to write down a job's end, and seconds between, where the database's disk is full too."""
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
LIBRARY_CRASHED = JobError(
    type="system",
    code="library_crashed",
    message="A library crashed on this model or on a text of the corpus ({why}) and would again. "
    "Choose another base model, or leave out what is unusual in the corpus.",
    retryable=False,
)
OUT_OF_MEMORY = JobError(
    type="user",
    code="out_of_memory",
    message="The job needs more memory than the worker has for it (FVT_JOB_MEMORY_BYTES). Choose a "
    "smaller model, or a smaller batch or corpus, or have it given more.",
    retryable=False,
)


LIMITS: dict[type[Exception], JobError] = {
    TimeLimitError: TIME_LIMIT,
    MemoryLimitError: OUT_OF_MEMORY,
    MemoryError: OUT_OF_MEMORY,
}


def end_badly(db: Database, claim: Claim, error: BaseException) -> Status:
    """Write down why the job did not succeed; returns the status it has now."""
    if isinstance(error, CancelledError):
        return transitions.cancelled(db, claim)
    if isinstance(error, StoppedError):
        return transitions.release(db, claim)
    reason = final_error(error)
    if reason is None or reason.type == "system":
        log.error("%s failed", claim.job_id, exc_info=error)
    if reason:
        return transitions.fail(db, claim, reason)
    delay = transitions.retry_delay(claim.attempt)
    return transitions.hand_back(db, claim, _system_error(error), delay)


def final_error(error: BaseException) -> JobError | None:
    """Return why the job cannot succeed as it is; None where another attempt may."""
    if isinstance(error, ArtifactCheckFailedError):
        # Our fault, and the same at every attempt.
        return _check_error(error)
    if isinstance(error, (UserFault, CompressionError)):
        return _user_error(error)
    if is_panic(error):
        return TOKENIZER_PANICKED
    if isinstance(error, LibraryCrashedError):
        return _crash_error(error)
    return next((said for kind, said in LIMITS.items() if isinstance(error, kind)), None)


def _user_error(error: UserFault | CompressionError) -> JobError:
    return JobError(type="user", code=error.code, message=storable(str(error)), retryable=False)


def _check_error(error: ArtifactCheckFailedError) -> JobError:
    return JobError(type="system", code=error.code, message=storable(str(error)), retryable=False)


def _crash_error(error: LibraryCrashedError) -> JobError:
    why = storable(str(error).splitlines()[0][:200])
    return LIBRARY_CRASHED.model_copy(update={"message": LIBRARY_CRASHED.message.format(why=why)})


def _system_error(error: BaseException) -> JobError:
    if isinstance(error, AttemptLostError):
        return transitions.WORKER_LOST
    if isinstance(error, HubUnreachableError):
        return JobError(
            type="system", code=error.code, message=storable(str(error)), retryable=True
        )
    code = getattr(error, "code", None) or "internal_error"
    message = f"Something broke on our side ({type(error).__name__}); the worker's log has it."
    return JobError(type="system", code=code, message=message, retryable=True)


def run_watched(claim: Claim, settings: Settings, db: Database) -> None:
    """Run the job in a process of its own until it ends or is no longer this worker's.

    Whatever ends that process is written down here, where it could not do so itself.
    """
    with signals_put_off():
        try:
            Watchdog(claim, settings, db).run(partial(run_alone, claim, settings))
        except Exception as error:
            ended = end_from_outside(db, claim, error)
            run_apart(partial(free_workspace, claim, settings, ended=ended))


def end_from_outside(db: Database, claim: Claim, error: Exception) -> bool:
    """Write down why the job's process was ended; returns whether the job ended by this claim."""
    try:
        if not isinstance(error, LeaseLostError):
            end_badly(db, claim, error)
        return transitions.look(db, claim) in TERMINAL
    except LeaseLostError:
        log.warning(NOT_OURS, claim.job_id)
        return False
    finally:
        db.close()


def run_alone(claim: Claim, settings: Settings) -> None:
    """Run the job in this process, which is the job's own."""
    spare = Spare()  # while this process has no thread, no connection and nothing of the job
    db = open_database(settings)
    run_to_an_end(claim, settings, db, Blobs(settings.blobs_url), spare)


def free_workspace(claim: Claim, settings: Settings, *, ended: bool) -> None:
    """Delete what a process that was ended could not: its folder; of an ended job everything."""
    prefix = Job.prefix_of(claim.job_id)
    blobs = Blobs(settings.blobs_url)
    workspace = Workspace(settings.workspaces, blobs, prefix, claim.job_id, claim.token)
    if not ended:
        workspace.leave()
        return
    workspace.clear()
    free_ended_job(open_database(settings), blobs, claim.job_id, expired_before=now())


def run_to_an_end(
    claim: Claim, settings: Settings, db: Database, blobs: Blobs, spare: Spare | None = None
) -> None:
    """Run the job until it ends, is handed back, or is no longer this worker's."""
    import_engine(settings)
    context = load_context(claim, settings, db, blobs, shares)
    context.spare = spare
    try:
        with context.workspace.temporary_folder():
            status = run_stages(context)
    except LeaseLostError:
        log.warning(NOT_OURS, claim.job_id)
        context.workspace.leave()
        return
    if status in TERMINAL:
        context.workspace.clear()
        free_ended_job(db, blobs, claim.job_id, expired_before=now())
    else:
        context.workspace.leave()


def run_stages(context: JobContext) -> Status:
    """Run every stage that has no checkpoint yet; returns the status the job then has."""
    db, claim = context.db, context.claim
    try:
        done = checkpoints(context)
        with beating(context.progress):
            for stage in STAGES:
                check_may_go_on()
                if not restored(context, stage, done):
                    run_stage(context, stage)
        return finish(context)
    except LeaseLostError:
        raise
    except BaseException as error:
        # A panic of the tokenizers library is no `Exception`; interrupts end the process.
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        if context.disk_is_full(error):
            return end_for_lack_of_room(context, error)
        return end_badly(db, claim, error)


def end_for_lack_of_room(context: JobContext, error: BaseException) -> Status:
    """Fail a job that filled a disk, at once: another attempt would fill it again.

    This attempt's files go first: the database may be on the same disk.
    """
    log.error("%s found a disk full", context.claim.job_id, exc_info=error)
    context.workspace.leave()
    lacks = error if isinstance(error, DiskFullError) else DiskFullError()
    for _ in range(FULL_TRIES):
        try:
            return transitions.fail(context.db, context.claim, lacks.job_error)
        except SQLAlchemyError as still:
            if not is_full(still):
                raise
            log.warning("the end of %s cannot be written down yet", context.claim.job_id)
            time.sleep(FULL_WAIT_SECONDS)
    return transitions.fail(context.db, context.claim, lacks.job_error)


def run_stage(context: JobContext, stage: Stage) -> None:
    """Run one stage and keep its checkpoint."""
    db, claim = context.db, context.claim
    transitions.start_stage(db, claim, stage.name, context.progress.start_of(stage.name))
    began = time.perf_counter()
    context.progress.update(stage.name, 0.0, f"{stage.name} begins")

    def progress(fraction: float, message: str) -> None:
        # A recovery stops by itself, once it has saved how far it is.
        if not stage.saves_when_stopped:
            check_may_go_on()
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
