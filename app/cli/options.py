"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from app.client import DownloadError
from app.client.downloads import check_target

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
