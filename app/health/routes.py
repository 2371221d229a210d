"""Whether the service lives, whether it can work, and its metrics; open to all."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from app.dependencies import BellDep, BlobsDep, DatabaseDep
from app.errors import ServiceUnavailableError
from app.health.checks import failed_checks
from app.openapi import problems

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
def ready(request: Request, db: DatabaseDep, blobs: BlobsDep, bell: BellDep) -> Health:
    """Asks the database, the broker and the file storage, each for at most two seconds."""
    if down := failed_checks(db, blobs, bell, request.app.state.ringing):
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
