import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.serving import Service, serving


@pytest.fixture
def fresh(tmp_path: Path, valkey: str) -> Iterator[Service]:
    """A service of its own, to be broken."""
    with serving(tmp_path, valkey) as running:
        yield running


def why_not_ready(service: Service) -> tuple[list[str], str]:
    answer = service.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    problem = answer.json()
    assert problem["code"] == "not_ready"
    assert service.http.get("/healthz").status_code == 200
    return problem["failed"], problem["detail"]


def test_a_whole_service_is_ready_and_leaves_no_trace(service: Service) -> None:
    assert service.http.get("/readyz").json() == {"status": "ok"}
    assert service.blobs.keys("health") == []


def test_a_schema_that_is_behind(fresh: Service) -> None:
    with fresh.db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    failed, detail = why_not_ready(fresh)
    assert failed == ["database"]
    assert "0000" in detail


def test_a_database_that_is_gone(fresh: Service) -> None:
    with fresh.db.write() as session:
        session.execute(text("DROP TABLE alembic_version"))
    assert why_not_ready(fresh)[0] == ["database"]


def test_a_storage_that_cannot_be_written(fresh: Service) -> None:
    folder = fresh.settings.data_dir / "blobs"
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    assert why_not_ready(fresh)[0] == ["storage"]


def test_a_broker_that_is_away_is_named_within_two_seconds(tmp_path: Path) -> None:
    with serving(tmp_path, "redis://:secret@127.0.0.1:1/0") as service:
        start = time.perf_counter()
        failed, detail = why_not_ready(service)
        assert failed == ["broker"]
        assert "secret" not in detail
        assert time.perf_counter() - start < 3


def test_metrics(service: Service) -> None:
    job = service.submit()
    service.http.get(f"/v1/jobs/{job['id']}")
    service.http.get("/no/such/route")
    metrics = service.http.get("/metrics").text
    assert re.search(r'fvt_jobs{status="queued"} [1-9]', metrics)
    assert 'fvt_jobs{status="failed"} 0.0' in metrics
    found = 'fvt_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"} 1.0'
    assert found in metrics
    assert 'route="unmatched",status="404"} 1.0' in metrics
    assert job["id"] not in metrics
    assert 'fvt_http_request_seconds_count{method="POST",route="/v1/jobs"} 1.0' in metrics
