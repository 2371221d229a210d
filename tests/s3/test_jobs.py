"""Whole jobs with their files on S3: a real worker, and downloads both ways."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import httpx
import pytest

from app.blobs import Blobs
from app.cli import local
from app.contract.states import Status
from app.db import Database
from app.settings import Settings
from tests.chaos.jobs import RECIPE
from tests.chaos.processes import Service
from tests.chaos.stack import is_ready
from tests.support.commands import environment
from tests.support.finished_jobs import check_artifact
from tests.support.job_store import read
from tests.support.s3 import ObjectStore
from tests.support.tiny_models import make_base_model, texts
from tests.support.workers import kill, wait_for_end, wait_until, worker_process


@pytest.mark.slow
def test_a_job_runs_on_s3_and_its_result_comes_both_ways(
    tmp_path: Path, valkey: str, store: ObjectStore
) -> None:
    make_base_model(tmp_path / "models" / "acme" / "tiny-bert", vocab_size=200)
    settings = Settings(
        data_dir=tmp_path / "data",
        broker_url=valkey,
        blobs_url=store.url,
        models_dir=tmp_path / "models",
        hub=False,
        auth="off",
        lease_seconds=6,
        heartbeat_seconds=0.5,
    )
    redirecting, sending = (api(tmp_path, settings, how) for how in ("auto", "off"))
    try:
        corpus = {"corpus": ("corpus.txt", "\n".join(texts(120)).encode())}
        form = {"base_model": "acme/tiny-bert", "recipe": json.dumps(RECIPE)}
        made = httpx.post(f"{redirecting[1]}/v1/jobs", data=form, files=corpus, trust_env=False)
        assert made.status_code == 202, made.text
        job_id = made.json()["id"]
        db, blobs = Database(settings.database_url), Blobs(store.url)
        with worker_process(settings) as first:
            wait_until(lambda: read(db, job_id).stage == "check")
            kill(first)
        with worker_process(settings):
            done = wait_for_end(settings, db, job_id)
            # The worker cleans up once the end is written down.
            wait_until(lambda: blobs.keys(f"jobs/{job_id}/stages") == [], 60)
        assert (done.status, done.attempt) == (Status.SUCCEEDED, 2), done.error
        check_artifact(done, blobs)
        for _, url in (redirecting, sending):
            check_download(f"{url}/v1/jobs/{job_id}", is_redirected=url == redirecting[1])
        deleted = httpx.delete(f"{sending[1]}/v1/jobs/{job_id}", trust_env=False)
        assert deleted.status_code == 204
        assert blobs.keys("jobs") == []
        assert store.open_uploads() == []
        db.close()
    finally:
        for service, _ in (redirecting, sending):
            service.stop(20)


def api(folder: Path, settings: Settings, redirect: str) -> tuple[Service, str]:
    """An API of its own, ready, and its URL."""
    port = local.reserve("127.0.0.1", 0)
    values = settings.model_dump(mode="json", include=settings.model_fields_set)
    values |= {"download_redirect": redirect}
    env = environment(**{f"FVT_{name.upper()}": str(value) for name, value in values.items()})
    env |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    service = Service("api", local.api("127.0.0.1", port), env, folder / f"api-{redirect}.log")
    service.restart()
    wait_until(lambda: is_ready(f"http://127.0.0.1:{port}"), 60)
    return service, f"http://127.0.0.1:{port}"


def check_download(job: str, *, is_redirected: bool) -> None:
    """The archive and its ranges are what the job says, from wherever they come."""
    artifact = httpx.get(job, trust_env=False).json()["artifact"]
    answer = httpx.get(f"{job}/download", follow_redirects=True, trust_env=False)
    assert bool(answer.history) is is_redirected
    assert len(answer.content) == artifact["bytes"]
    assert hashlib.sha256(answer.content).hexdigest() == artifact["sha256"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert "tiny-bert-fvt/model.safetensors" in tar.getnames()
    part = httpx.get(
        f"{job}/download", headers={"Range": "bytes=10-19"}, follow_redirects=True, trust_env=False
    )
    assert (part.status_code, part.content) == (206, answer.content[10:20])
