"""One job from its submission to its end, at a running service or at one started for it."""

import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.cli.local import LocalService
from app.cli.model_folder import ModelFolder, served
from app.cli.output import JobDisplay, say
from app.client import ClientError, DownloadError, FvtClient, Job, UnreachableError
from app.client.transfers import check_target


@dataclass(frozen=True)
class Service:
    """The service that does the job: a running one, or one started for it."""

    client: FvtClient
    check: Callable[[], None]
    """Raises where a local service has broken down."""


@contextmanager
def service_for(
    url: str | None,
    api_key: str | None,
    data_dir: Path | None,
    target: Path,
    model: ModelFolder | None = None,
) -> Iterator[Service]:
    """The service at `url`, or a local one that ends with the block, with a folder as a model."""
    if url:
        with FvtClient(url, api_key) as client:
            yield Service(client, lambda: None)
        return
    with ExitStack() as stack:
        if data_dir is None:
            parent = target.absolute().parent
            parent.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(prefix=".fvt-", dir=parent)
            data_dir = Path(stack.enter_context(scratch))
        models_dir = stack.enter_context(served(model, data_dir.absolute())) if model else None
        say("Starting a local service")
        key = secrets.token_urlsafe(24)
        service = LocalService(data_dir, port=0, api_key=key, models_dir=models_dir)
        local = stack.enter_context(service)
        yield Service(stack.enter_context(FvtClient(local.url, key)), local.check)


def wait(service: Service, job: Job) -> Job:
    """Show the job's progress until it is over; interrupted, cancel it."""

    def on_progress(job: Job) -> None:
        service.check()
        display.show(job)

    try:
        with JobDisplay() as display:
            return service.client.wait(job.id, on_progress=on_progress)
    except UnreachableError:
        service.check()
        raise
    except KeyboardInterrupt:
        with suppress(ClientError):
            service.client.cancel(job.id)
            say(f"Cancelled {job.id}")
        raise


def why(job: Job) -> str:
    """Say why a job did not succeed, for people."""
    if job.error is None:
        return f"{job.id} was {job.status}."
    return f"{job.error.message} [{job.error.code}] ({job.id}, attempt {job.attempt})"


LOCAL_URL = "http://127.0.0.1:8000"

ServiceUrl = Annotated[str, typer.Option("--url", envvar="FVT_URL", help="The service to ask.")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar="FVT_API_KEY", help="Key of the service.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
OutDir = Annotated[
    Path, typer.Option("--out", file_okay=False, help="Folder to make; not there yet, or empty.")
]


def check_out(target: Path) -> None:
    """Refuse, before anything is done, a folder that holds something."""
    try:
        check_target(target)
    except DownloadError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error
