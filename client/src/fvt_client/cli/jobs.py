"""Commands about jobs of a running service."""

from typing import Annotated

import typer

from ..contract.jobs import JobView
from ..contract.states import Status
from ..responses import failure
from .options import LOCAL_URL, ApiKey, AsJson, JobId, ServiceUrl, connect
from .output import event_line, print_json, print_report, say, show
from .session import Session, finish


def list_jobs(
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with connect(url, api_key) as client:
        jobs = client.jobs(status, limit=limit)
    if as_json:
        return print_json(jobs)
    # Lines that a terminal wraps where it must: a table would cut the ids.
    for job in jobs:
        created = f"{job.created_at:%Y-%m-%d %H:%M} UTC"
        done = f"{job.progress.fraction:.0%}"
        show(f"{job.id}  {job.status:<10}  {done:>4}  {created}  {job.base_model}")
    return None


def show_job(
    job_id: JobId, url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Show what is known of a job."""
    with connect(url, api_key) as client:
        job = client.job(job_id)
    if as_json:
        return print_json(job)
    for name, value in _described(job).items():
        show(f"{name:<12} {value}")
    if job.error:
        say(str(failure(job)))
    return None


def _described(job: JobView) -> dict[str, str]:
    progress = job.progress
    eta = progress.eta_seconds
    left = f", about {eta:.0f} s left" if eta is not None and not job.is_over else ""
    times = {
        "created": job.created_at,
        "started": job.started_at,
        "finished": job.finished_at,
    }
    figures = {name: value for name, value in (job.result or {}).items() if name != "quality"}
    return {
        "job": job.id,
        **({"name": job.name} if job.name else {}),
        "status": f"{job.status} {progress.fraction:.0%} {progress.message}{left}",
        "base model": job.base_model + (f" at {job.revision}" if job.revision else ""),
        "corpus": job.corpus_id,
        **{name: f"{time:%Y-%m-%d %H:%M:%S} UTC" for name, time in times.items() if time},
        **({"result": f"{job.artifact.bytes / 1e6:,.1f} MB"} if job.artifact else {}),
        **{name: str(value) for name, value in figures.items()},
    }


def watch(
    job_id: JobId, url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Show a job's progress until it is over; Ctrl-C leaves the job as it is."""
    with connect(url, api_key) as client:
        job = Session(client).wait(client.job(job_id))
        finish(client, job)
        if as_json:
            return print_json(job)
        print_report(client.report(job.id))
    return say(f"`fvt download {job.id} --out FOLDER` fetches it.")


def logs(
    job_id: JobId,
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job is over.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what happened to a job, an event a line; as JSON an array, or lines with --follow."""
    with connect(url, api_key) as client:
        events = client.job(job_id).events(follow=follow)
        if as_json and not follow:
            return print_json(list(events))
        for event in events:
            show(event.model_dump_json() if as_json else event_line(event))
    return None


def cancel(
    job_id: JobId, url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Cancel a job."""
    with connect(url, api_key) as client:
        job = client.job(job_id).cancel()
    if as_json:
        return print_json(job)
    return say(f"{job.id} is {job.status}")


def delete(
    job_id: JobId, url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Delete a job that is over, with its result."""
    with connect(url, api_key) as client:
        job = client.job(job_id)
        job.delete()
    if as_json:
        return print_json({"id": job.id, "deleted": True})
    return say(f"{job.id} is deleted")
