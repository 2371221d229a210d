"""`fvt doctor`: look at this machine and at the service, and say what mends what is wrong."""

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from .._version import __version__
from ..client import Client
from ..errors import AuthenticationError, FvtError, UnreachableError
from ..responses import VERSION_HEADER
from ..steps import unreachable
from .local import Check, installation
from .options import LOCAL_URL, ApiKey, AsJson, ExitCode, OptionalUrl
from .output import print_json, say, show

ROOM = 2_000_000_000
"""Bytes that should be free where results are put."""
CURES = {
    "database": "Look at FVT_DATABASE_URL and at the log of the API; `docker compose ps` shows "
    "whether it runs.",
    "broker": "Start Redis or Valkey, or mend FVT_BROKER_URL.",
    "storage": "Look at FVT_BLOBS_URL, its credentials, and the room on its disk.",
    "dispatch": "Restart the API.",
}


def doctor(
    url: OptionalUrl = None,
    api_key: ApiKey = None,
    data_dir: Annotated[
        Path, typer.Option(help="Folder of a service on this machine, as `fvt up` has it.")
    ] = Path("fvt-data"),
    as_json: AsJson = False,
) -> None:
    """Look at versions, disk, GPU, broker, database, hub and service; say what mends a fault."""
    checks = list(_all_checks(url, api_key, data_dir))
    if as_json:
        print_json([vars(check) for check in checks])
    else:
        for check in checks:
            show(f"{check.state:<6} {check.name}: {check.found}")
            if check.cure and check.state != "ok":
                show(f"       -> {check.cure}")
    if any(check.state == "fault" for check in checks):
        raise typer.Exit(ExitCode.ERROR)
    if not as_json:
        say("Nothing is wrong.")


def _all_checks(url: str | None, api_key: str | None, data_dir: Path) -> Iterator[Check]:
    yield Check("client", "ok", f"fvt-client {__version__}, Python {platform.python_version()}")
    yield disk_check("disk here", Path.cwd())
    local = installation()
    if local:
        yield from local.checks(data_dir)
    else:
        yield Check("service on this machine", "note", "not installed; jobs need a running service")
    yield from _service_checks(url, api_key, is_optional=bool(local))


def disk_check(name: str, folder: Path) -> Check:
    """Look at the room on the disk of a folder, which need not be there yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:,.1f} GB free on the disk of {there}"
    if not os.access(there, os.W_OK):
        return Check(name, "fault", f"{there} cannot be written", f"chown $USER {there}")
    if free < ROOM:
        return Check(name, "fault", found, "Make room: a result and its archive need 2 GB.")
    return Check(name, "ok", found)


def _service_checks(url: str | None, api_key: str | None, *, is_optional: bool) -> Iterator[Check]:
    try:
        with Client(url or LOCAL_URL, api_key, retries=0, timeout=10) as client:
            try:
                response = httpx.get(f"{client.url}/readyz", timeout=10)
            except httpx.TransportError as error:
                raise unreachable(error) from error
            yield from _readiness(client.url, response)
            client.models()
            yield Check("key", "ok", "accepted" if api_key else "none is needed")
    except AuthenticationError as error:
        yield Check(
            "key", "fault", error.detail, "export FVT_API_KEY=… with the key of the service."
        )
    except UnreachableError as error:
        if url is None and is_optional:
            yield Check(
                "service",
                "note",
                f"none runs at {LOCAL_URL}",
                "`fvt up` starts one; `fvt compress` without --url starts its own.",
            )
        else:
            yield Check("service", "fault", str(error), "fvt up, or mend --url or FVT_URL.")
    except FvtError as error:
        yield Check("service", "fault", str(error), "Check --url or FVT_URL.")


def _readiness(url: str, response: httpx.Response) -> Iterator[Check]:
    theirs = response.headers.get(VERSION_HEADER, "of an unknown version")
    document: Any = _json(response)
    if response.is_success and isinstance(document, dict):
        yield Check("service", "ok", f"FVT Service {theirs} is ready at {url}")
    elif isinstance(document, dict) and document.get("code") == "not_ready":
        yield Check("service", "fault", f"FVT Service {theirs} at {url}: {document.get('detail')}")
        for name in document.get("failed", ()):
            yield Check(
                f"service's {name}", "fault", "does not answer", CURES.get(name, "See its log.")
            )
    else:
        yield Check(
            "service",
            "fault",
            f"{url} answers HTTP {response.status_code}, but not as an FVT Service",
            "Check --url or FVT_URL.",
        )
    if response.is_success and theirs.split(".")[:2] != __version__.split(".")[:2]:
        cure = f"pip install 'fvt-client=={theirs}'" if theirs[:1].isdecimal() else ""
        yield Check("versions", "note", f"the client is {__version__}, the service {theirs}", cure)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
