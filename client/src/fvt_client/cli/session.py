"""One job from its submission to its end, at a running service or at one started for it."""

import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import typer

from .. import submission
from ..client import Client, Job
from ..contract.jobs import JobView
from ..contract.states import ACTIVE, Status
from ..errors import FvtError, ProblemError, UnreachableError
from ..responses import failure
from .local import LocalService, needed
from .model_folder import ModelFolder
from .options import ExitCode, connect
from .output import JobDisplay, complain, print_report, say


@dataclass(frozen=True)
class Session:
    """The service that does the job: a running one, or one started for it."""

    client: Client
    local: LocalService | None = None
    salt: list[Any] = field(default_factory=list)
    """Tells apart what the fields of a job do not."""

    def check(self) -> None:
        """Raise where a local service has broken down."""
        if self.local:
            self.local.check()

    def submit(self, fields: Mapping[str, Any], *, again: bool = False) -> Job:
        """Submit a job, or find the one that the same command made before."""
        salt = repr([self.salt, secrets.token_hex(8) if again else None])
        given = {name: value for name, value in fields.items() if value is not None}
        job, replayed = self.client.run(
            submission.submit_or_resume(given, salt, self.client.retries)
        )
        if replayed:
            say(f"{job.id} was made by this same command before: it is {job.status}.")
        return self.client.get(job.id)

    def wait(self, job: Job) -> Job:
        """Show the job's progress until it is over; Ctrl-C leaves the job as it is."""

        def on_progress(job: JobView) -> None:
            self.check()
            display.show(job)

        try:
            with JobDisplay() as display:
                return self.client.wait(job.id, progress=on_progress, check=False)
        except UnreachableError:
            self.check()
            raise
        except KeyboardInterrupt:
            if self.local is None:
                say(
                    f"{job.id} goes on without this command: `fvt watch {job.id}` shows it again, "
                    f"`fvt cancel {job.id}` ends it."
                )
            raise


@contextmanager
def session_at(url: str, api_key: str | None) -> Iterator[Session]:
    """Give a session at a running service."""
    with connect(url, api_key) as client:
        yield Session(client)


@contextmanager
def local_session(data_dir: Path, model: ModelFolder | None = None) -> Iterator[Session]:
    """Run a service on `data_dir` while the block runs, with a folder as one of its models."""
    installation = needed()
    say("Starting a service on this machine")
    # With a transport of its own a client asks no proxy, which would not find this machine.
    transport = httpx.HTTPTransport()
    with (
        installation.start(data_dir, model) as local,
        Client(local.url, local.api_key, transport=transport) as client,
    ):
        yield Session(client, local, model.state() if model else [])


@contextmanager
def scratch_session(target: Path, model: ModelFolder | None = None) -> Iterator[Session]:
    """Run a service whose folder lies beside `target`, hidden, until its one job is over.

    Interrupted, or broken off by what is not the job's fault, the folder stays: the same command
    goes on with what is in it. What an other command left there is cancelled.
    """
    target = target.absolute()
    data_dir = target.with_name(f".{target.name}.fvt")
    try:
        with local_session(data_dir, model) as session:
            yield session
    except typer.Exit as end:
        if end.exit_code == ExitCode.GATE_NOT_MET:
            say(
                f"The result is kept: `fvt up --data-dir {data_dir}`, then `fvt jobs` and "
                "`fvt download JOB --out FOLDER`."
            )
        else:
            shutil.rmtree(data_dir, ignore_errors=True)
        raise
    except ProblemError as error:
        if (error.status or 500) < 500:
            shutil.rmtree(data_dir, ignore_errors=True)
        raise
    except BaseException:
        if data_dir.exists():
            say(
                f"What is done so far is kept in {data_dir}: the same command goes on with it. "
                "Delete the folder to begin anew."
            )
        raise
    shutil.rmtree(data_dir, ignore_errors=True)


def cancel_others(session: Session, job: Job) -> None:
    """Cancel the jobs of earlier commands, which would take the only worker."""
    for other in session.client.jobs():
        if other.id != job.id and other.status in ACTIVE:
            other.cancel()


def finish(client: Client, job: Job) -> None:
    """Raise typer.Exit where a job did not succeed, with why; show the report of a missed gate."""
    if job.status == Status.SUCCEEDED:
        return
    code = ExitCode.JOB_FAILED
    if job.error and job.error.code in {"gate_not_met", "target_not_met"}:
        code = ExitCode.GATE_NOT_MET
        try:
            print_report(client.report(job.id))
        except FvtError as error:
            say(str(error))
    complain(failure(job))
    raise typer.Exit(code)


def end_on_sigterm() -> None:
    """Make SIGTERM end this process as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
