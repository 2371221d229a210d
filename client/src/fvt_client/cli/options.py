"""Options that several commands take, and the exit codes."""

from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer

from ..client import Client
from ..errors import DownloadError
from ..transfers import check_target
from .output import set_json

LOCAL_URL = "http://127.0.0.1:8000"
# People wait for the first answer: a service that is away is said so within seconds.
RETRIES = 2


class ExitCode(IntEnum):
    """The exit codes of all commands; Ctrl-C is 130."""

    OK = 0
    ERROR = 1
    """The service is away or refused, a transfer failed, `verify` or `doctor` found a fault."""
    USAGE = 2
    """The command itself is wrong; nothing was done."""
    JOB_FAILED = 3
    """The job failed or was cancelled."""
    GATE_NOT_MET = 4
    """The job made a model that falls short of the gate, or none that meets the target."""


EXIT_CODES = (
    "Exit codes: 0 done; 1 refused, unreachable or faulty; 2 wrong usage; 3 the job failed or was "
    "cancelled; 4 the gate or the target was not met; 130 interrupted."
)

ServiceUrl = Annotated[str, typer.Option("--url", envvar="FVT_URL", help="The service to ask.")]
OptionalUrl = Annotated[
    str | None,
    typer.Option("--url", envvar="FVT_URL", help="Running service; else one is started here."),
]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar="FVT_API_KEY", help="Key of the service.")
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document and nothing else.", callback=set_json),
]
JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's id, or a beginning that only it has.")
]
OutDir = Annotated[
    Path, typer.Option("--out", file_okay=False, help="Folder to make; not there yet, or empty.")
]


def connect(url: str, api_key: str | None) -> Client:
    """Return a client for a command."""
    return Client(url, api_key, retries=RETRIES)


def check_out(target: Path) -> None:
    """Refuse, before anything is done, a folder that holds something."""
    try:
        check_target(target)
    except DownloadError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error
