"""What settings say is kept no longer, seen through the API and in the store."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.corpora.models import Corpus
from app.db import now
from app.jobs.models import IdempotencyKey, Job, JobEvent, StageCheckpoint
from app.maintenance.reaper import Reaper
from app.settings import Settings
from tests.support.serving import MODEL, Service, serving_on

FILES = {"report.json": b"{}", "report.html": b"<p>", "model.safetensors": b"weights"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, valkey: str
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serving_on(request, folder, valkey) as running:
        yield running


def finished(service: Service) -> str:
    job_id = str(service.submit()["id"])
    service.succeed(job_id, FILES, b"packed")
    return job_id


def later(service: Service, **days: int) -> None:
    """Have the job, its end and its expiry, and the corpora be so many days older."""
    with service.db.write() as session:
        for job in session.query(Job):
            for name in ("finished_at", "artifact_expired_at"):
                if value := getattr(job, name):
                    setattr(job, name, value - timedelta(**days))
        then = now() - timedelta(**days)
        session.execute(update(Corpus).values(created_at=then))


def reap(service: Service, **settings: float) -> None:
    given: Settings = service.settings.model_copy(update=settings)
    assert Reaper(service.db, service.blobs, given).round()


def statuses(service: Service, job_id: str) -> set[int]:
    paths = ("download", "artifacts", "report", "artifacts/model.safetensors")
    return {service.http.get(f"/v1/jobs/{job_id}/{path}").status_code for path in paths}


def test_nothing_expires_by_itself(service: Service) -> None:
    job_id = finished(service)
    later(service, days=4000)
    reap(service)
    assert statuses(service, job_id) == {200}
    corpus_id = service.http.get(f"/v1/jobs/{job_id}").json()["corpus_id"]
    assert service.http.get(f"/v1/corpora/{corpus_id}").status_code == 200


def test_a_result_expires_and_its_job_stays(service: Service) -> None:
    job_id, keep = finished(service), {"keep_artifacts_days": 7.0}
    later(service, days=6)
    reap(service, **keep)
    assert statuses(service, job_id) == {200}
    later(service, days=2)
    reap(service, **keep)
    assert statuses(service, job_id) == {410}
    answer = service.http.get(f"/v1/jobs/{job_id}/download")
    assert answer.json()["code"] == "artifact_expired"
    job = service.http.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["artifact"]) == ("succeeded", None)
    assert job["artifact_expired_at"]
    assert job["result"]
    # Who began to download it a moment before is not cut off.
    assert len(service.blobs.keys(f"jobs/{job_id}")) == len(FILES) + 1
    later(service, days=2)
    reap(service, **keep)
    assert service.blobs.keys(f"jobs/{job_id}") == []
    assert service.http.delete(f"/v1/jobs/{job_id}").status_code == 204


def test_an_ended_job_expires_with_all_of_it(service: Service) -> None:
    body = {"base_model": MODEL, "corpus_id": service.corpus()}
    headers = {"Idempotency-Key": "expires"}
    job_id = service.http.post("/v1/jobs", json=body, headers=headers).json()["id"]
    service.succeed(job_id, FILES, b"packed")
    with service.db.write() as session:
        session.add(StageCheckpoint(job_id=job_id, stage="resolve", seconds=1.0, outputs={}))
    cancelled, active = str(service.submit()["id"]), str(service.submit()["id"])
    service.http.post(f"/v1/jobs/{cancelled}/cancel")
    keep = {"keep_jobs_days": 7.0}
    later(service, days=8)
    reap(service, **keep)
    # The result first: someone may be downloading it.
    assert statuses(service, job_id) == {410}
    assert service.http.get(f"/v1/jobs/{cancelled}").status_code == 404
    later(service, days=2)
    reap(service, **keep)
    assert service.http.get(f"/v1/jobs/{job_id}").status_code == 404
    assert service.http.get(f"/v1/jobs/{active}").status_code == 200
    assert service.blobs.keys(f"jobs/{job_id}") == []
    with service.db.read() as session:
        for table in (JobEvent, StageCheckpoint, IdempotencyKey):
            assert session.query(table).filter_by(job_id=job_id).count() == 0


def test_a_corpus_expires_unless_a_job_reads_it(service: Service) -> None:
    unused, job = service.corpus(), service.submit()
    keep = {"keep_corpora_days": 7.0}
    later(service, days=6)
    reap(service, **keep)
    assert service.http.get(f"/v1/corpora/{unused}").status_code == 200
    later(service, days=8)
    reap(service, **keep)
    assert service.http.get(f"/v1/corpora/{unused}").status_code == 404
    assert service.blobs.keys(f"corpora/{unused}") == []
    used = job["corpus_id"]
    assert service.http.get(f"/v1/corpora/{used}").status_code == 200
    service.http.post(f"/v1/jobs/{job['id']}/cancel")
    reap(service, **keep)
    assert service.http.get(f"/v1/corpora/{used}").status_code == 404
    assert service.http.get(f"/v1/jobs/{job['id']}").status_code == 200


def test_a_deleted_job_leaves_no_folder(service: Service) -> None:
    job_id = finished(service)
    service.blobs.put(f"jobs/{job_id}/stages/1/transfer/300/model", b"x")
    assert service.blobs.folder
    assert (service.blobs.folder / "jobs" / job_id).is_dir()
    assert service.http.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert not (service.blobs.folder / "jobs" / job_id).exists()
