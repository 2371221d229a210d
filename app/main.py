"""The HTTP front end; `app.server` serves it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CollectorRegistry

from app.admission import Admission
from app.artifacts.routes import router as artifacts
from app.base_models.examination import KeepingExaminer
from app.base_models.routes import router as base_models
from app.blobs import Blobs
from app.broker import Dispatcher
from app.corpora.routes import router as corpora
from app.db import Database
from app.errors import install_error_handlers
from app.estimates.routes import describe_estimate
from app.estimates.routes import router as estimates
from app.estimates.service import Estimator
from app.extensions import import_names
from app.health.metrics import HttpMetrics, JobMetrics
from app.health.routes import router as health
from app.hosts import AllowedHosts
from app.jobs.dispatch import dispatch_due_jobs
from app.jobs.event_hub import EventHub
from app.jobs.models import find_corpus_reader
from app.jobs.routes import describe_submission
from app.jobs.routes import router as jobs
from app.maintenance.reaper import Reaper, reap_for_ever
from app.middleware import RequestContext
from app.openapi import install_openapi
from app.page.routes import router as page
from app.reference import serve_reference
from app.security import KeyRing, require_key
from app.settings import Settings, get_settings
from app.subprocesses import Subprocesses

DESCRIPTION = "Language model compression on demand: Fast Vocabulary Transfer as a service."


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; it opens the database, the storage and the broker when it starts."""
    settings = settings or get_settings()
    import_names(settings)
    describe_submission()
    describe_estimate()
    app = FastAPI(
        title="FVT Service",
        description=DESCRIPTION,
        version=version("fvt-service"),
        lifespan=_lifespan,
        separate_input_output_schemas=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.find_corpus_reader = find_corpus_reader
    app.state.keys = KeyRing(settings)
    app.state.registry = CollectorRegistry()
    # The one added last is the outer one.
    app.add_middleware(
        Admission,
        keys=app.state.keys,
        hosts=_allowed_hosts(settings),
        max_inside=settings.max_connections,
    )
    app.add_middleware(
        RequestContext,
        metrics=HttpMetrics(app.state.registry),
        body_seconds=settings.request_seconds,
    )
    install_error_handlers(app)
    install_openapi(app)
    for router in (corpora, jobs, estimates, artifacts, base_models):
        app.include_router(router, dependencies=[Depends(require_key)])
    app.include_router(health)
    serve_reference(app)
    app.include_router(page)
    return app


def _allowed_hosts(settings: Settings) -> AllowedHosts:
    # With keys any name will do: no browser sends a key by itself.
    unless_set = ["*"] if settings.auth == "on" else []
    return AllowedHosts(settings.allowed_hosts or unless_set)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    _log_to_stderr()
    settings: Settings = app.state.settings
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    db = Database(settings.database_url, wait=settings.database_seconds)
    await run_in_threadpool(db.migrate)
    dispatcher = Dispatcher(settings)
    jobs_metrics = JobMetrics(db)
    blobs = Blobs(settings.blobs_url, is_answering=True)
    app.state.db, app.state.blobs, app.state.dispatcher = db, blobs, dispatcher
    app.state.subprocesses = subprocesses = Subprocesses()
    app.state.examiner = KeepingExaminer(subprocesses)
    # Processes of their own: an estimate does not wait for the inspection of a large upload.
    app.state.estimating = estimating = Subprocesses()
    app.state.estimator = Estimator(settings, db, app.state.blobs, estimating)
    app.state.registry.register(jobs_metrics)
    app.state.submitted = submitted = asyncio.Event()
    app.state.dispatching = asyncio.create_task(
        dispatch_due_jobs(db, dispatcher, settings.dispatch_seconds, submitted)
    )
    app.state.events = EventHub(db)
    watching = asyncio.create_task(app.state.events.run())
    reaper = Reaper(db, blobs, settings)
    reaping = asyncio.create_task(reap_for_ever(reaper, settings.reap_seconds))
    try:
        yield
    finally:
        reaper.stop()
        for task in (app.state.dispatching, watching, reaping):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        app.state.registry.unregister(jobs_metrics)
        subprocesses.close()
        estimating.close()
        db.close()


def _log_to_stderr() -> None:
    """Show our log lines, unless whoever runs us has set up logging."""
    if not logging.root.handlers:
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
        )
        logging.getLogger("uvicorn").propagate = False
