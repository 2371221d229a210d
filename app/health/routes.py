"""Liveness, readiness and metrics of the service; open to all."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Literal

from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import text

from app.blobs import Blobs
from app.broker import Dispatcher
from app.db import MIGRATIONS, Database
from app.dependencies import BlobsDep, DatabaseDep, DispatcherDep
from app.errors import ServiceUnavailableError
from app.ids import new_id
from app.openapi import problems

SECONDS = 2


def failed_checks(
    db: Database, blobs: Blobs, dispatcher: Dispatcher, dispatching: asyncio.Task[None]
) -> dict[str, str]:
    """Return what does not work, and why; empty where all does."""
    checks: dict[str, Callable[[], None]] = {
        "database": lambda: _check_database(db),
        "broker": dispatcher.check,
        "storage": lambda: _check_blobs(blobs),
        "dispatch": lambda: _check_dispatching(dispatching),
    }
    # Not as a context manager: that would wait for a check that hangs.
    pool = ThreadPoolExecutor(len(checks))
    futures = {name: pool.submit(check) for name, check in checks.items()}
    pool.shutdown(wait=False)
    wait(futures.values(), SECONDS)
    failed = {}
    for name, future in futures.items():
        try:
            future.result(0)
        except Exception as error:
            failed[name] = _reason(error)
    return failed


def _check_database(db: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with db.read() as session:
        current = session.scalar(text("SELECT version_num FROM alembic_version"))
    if current != newest:
        raise RuntimeError(f"its schema is at {current}, not {newest}")


def _check_blobs(blobs: Blobs) -> None:
    prefix = f"health/{new_id('check')}"
    blobs.put(f"{prefix}/data", b"ok")
    if blobs.size(f"{prefix}/data") != 2:
        raise RuntimeError("what was written cannot be read")
    blobs.delete_all(prefix)


def _check_dispatching(dispatching: asyncio.Task[None]) -> None:
    if dispatching.done():
        raise RuntimeError("the loop that tells workers of jobs has stopped; restart the API")


def _reason(error: Exception) -> str:
    """The kind of failure; its message may hold addresses and passwords."""
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS} s"
    return str(error) if type(error) is RuntimeError else type(error).__name__


router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz", operation_id="get_health", summary="Whether the process is up")
async def health() -> Health:
    """Needs nothing else to work: restart the process if this fails."""
    return Health()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether the service can work",
    responses=problems(503),
)
def ready(request: Request, db: DatabaseDep, blobs: BlobsDep, dispatcher: DispatcherDep) -> Health:
    """Asks the database, the broker and the file storage, each for at most two seconds."""
    if down := failed_checks(db, blobs, dispatcher, request.app.state.dispatching):
        raise ServiceUnavailableError(
            "not_ready",
            "Not ready: " + "; ".join(f"{name}: {why}" for name, why in down.items()) + ".",
            headers={"Retry-After": "5"},
            failed=sorted(down),
        )
    return Health()


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Requests by route, method and status; their times; jobs by status."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
