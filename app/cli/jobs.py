"""Commands about jobs and base models of a running service."""

from itertools import islice
from typing import Annotated

import typer
from rich.table import Table

from app.cli.output import out, print_json, say
from app.cli.session import LOCAL_URL, ApiKey, AsJson, JobId, OutDir, ServiceUrl, check_out
from app.client import FvtClient
from app.contract.states import Status


def list_jobs(
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with FvtClient(url, api_key) as client:
        jobs = list(islice(client.list(status), limit))
    if as_json:
        return print_json([job.model_dump(mode="json") for job in jobs])
    table = Table("job", "status", "done", "base model", "created")
    for job in jobs:
        created = f"{job.created_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(job.id, job.status, f"{job.progress.fraction:.0%}", job.base_model, created)
    return out.print(table)


def download(
    job_id: JobId, target: OutDir, url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None
) -> None:
    """Download a job's result, check it and unpack it into a folder."""
    check_out(target)
    with FvtClient(url, api_key) as client:
        say(f"Unpacked into {client.download(job_id, target)}")


def cancel(
    job_id: JobId, url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Cancel a job."""
    with FvtClient(url, api_key) as client:
        job = client.cancel(job_id)
    if as_json:
        return print_json(job.model_dump(mode="json"))
    return say(f"{job.id} is {job.status}")


def base_models(
    url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """List the base models that the service can compress."""
    with FvtClient(url, api_key) as client:
        models = list(client.base_models())
    if as_json:
        return print_json([model.model_dump(mode="json") for model in models])
    for model in models:
        if model.usable:
            typer.echo(model.id)
        elif model.problem:
            say(f"{model.id} cannot be compressed: {model.problem.message}")
    return None
