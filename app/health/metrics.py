"""Metrics for Prometheus: requests as they are answered, jobs as they are in the database."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Scope

from app.contract.states import Status
from app.db import Database
from app.jobs.models import Job
from app.waits import DatabaseAwayError

SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """Counts and times requests by route, never by the path that a client made up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter(
            "fvt_http_requests", "Requests answered.", labels, registry=registry
        )
        self._seconds = Histogram(
            "fvt_http_request_seconds",
            "Time from a request's start to its answer's end.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request; status 0 is one that was never answered."""
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)


class JobMetrics:
    """Counts the jobs by status at each scrape."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def collect(self) -> Iterable[GaugeMetricFamily]:
        try:
            with self._db.read() as session:
                rows = session.execute(select(Job.status, func.count()).group_by(Job.status))
                counts = {status: count for status, count in rows}  # noqa: C416
        except (SQLAlchemyError, DatabaseAwayError):
            # Requests are counted all the same, and they tell of the outage.
            return
        yield jobs_by_status(counts)


def jobs_by_status(counts: Mapping[str, int]) -> GaugeMetricFamily:
    """Return the gauge of jobs; a status that is not counted has none."""
    gauge = GaugeMetricFamily("fvt_jobs", "Jobs in the database.", labels=("status",))
    for status in Status:
        gauge.add_metric((status,), counts.get(status, 0))
    return gauge
