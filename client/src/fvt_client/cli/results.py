"""Commands about results: report, download, verify."""

import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ..verify import verify as verify_folder
from .options import (
    LOCAL_URL,
    ApiKey,
    AsJson,
    ExitCode,
    JobId,
    OutDir,
    ServiceUrl,
    check_out,
    connect,
)
from .output import err, print_json, print_report, say, show


def report(
    job_id: JobId,
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the page to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the measurements of a job."""
    with connect(url, api_key) as client:
        job = client.job(job_id)
        if html:
            html.write_text(client.report_page(job.id), "utf-8")
            return print_json({"page": str(html)}) if as_json else say(f"The page is in {html}")
        found = job.report()
    return print_json(found) if as_json else print_report(found)


def open_report(
    job_id: JobId,
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Open the report of a job in the browser, from a file, which needs no key."""
    with connect(url, api_key) as client:
        job = client.job(job_id)
        page = client.report_page(job.id)
    folder = Path(tempfile.mkdtemp(prefix="fvt-report-"))
    file = folder / f"{job.id}.html"
    file.write_text(page, "utf-8")
    opened = webbrowser.open(file.as_uri())
    if as_json:
        return print_json({"page": str(file), "opened": opened})
    if not opened:
        say("There is no browser to open here.")
    return show(file.as_uri())


def download(
    job_id: JobId,
    target: OutDir,
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Download a job's result, check it and unpack it into a folder; broken off, it goes on."""
    check_out(target)
    with connect(url, api_key) as client:
        folder = client.job(job_id).download(target, progress=err.is_terminal)
    return print_json({"folder": str(folder)}) if as_json else say(f"Unpacked into {folder}")


def verify(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder of a result.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare every file of a downloaded result with its manifest."""
    found = verify_folder(folder)
    if as_json:
        print_json({"files": found.files, "faults": found.faults, "unlisted": found.unlisted})
    else:
        for fault in found.faults:
            show(fault)
        for name in found.unlisted:
            say(f"Note: {name} is not in the manifest")
        verdict = f"{len(found.faults)} files differ; download the result again"
        say(verdict if found.faults else f"All {found.files} files are as they were made")
    if found.faults:
        raise typer.Exit(ExitCode.ERROR)
