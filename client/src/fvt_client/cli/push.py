"""The command that hands a result on."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from .. import pushing
from ..verify import MANIFEST
from .options import LOCAL_URL, ApiKey, AsJson, ServiceUrl, connect
from .output import err, print_json, say, show


def push(  # noqa: PLR0917
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="JOB", help="The job's id or a beginning of it, or the folder of a result."
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(help="hf://ORG/NAME, mlflow://NAME, models:/NAME or s3://BUCKET/PREFIX."),
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Other content that is there gives way.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone see a repository that is made.")
    ] = False,
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Hand a result on: to the Hugging Face hub, an MLflow registry or an object store.

    As whom, the usual variables say: HF_TOKEN or the hub's login, MLFLOW_TRACKING_URI, and those
    of AWS. Every file is compared with the manifest before and after. Made again, it sends what is
    not there yet.
    """
    pushing.find_target(target)
    progress = err.is_terminal
    # MLflow prints what it does, where the result of the command belongs.
    with redirect_stdout(sys.stderr):
        if (Path(job_id) / MANIFEST).is_file():
            done = pushing.push(job_id, target, replace=replace, public=public, progress=progress)
        else:
            with connect(url, api_key) as client:
                job = client.job(job_id)
                done = job.push(target, replace=replace, public=public, progress=progress)
    if as_json:
        return print_json(vars(done))
    say(f"{done.files} files are there as they were made.")
    return show(done.page or done.uri)
