"""Disks that are full amid a job: of the workspaces, of the files, of the database, of all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from app.settings import Settings
from tests.support.finished_jobs import SMALL, stages_started
from tests.support.in_process import run
from tests.support.job_store import open_store
from tests.support.small_disk import MIB, fill, small_disk
from tests.support.tiny_models import texts
from tests.support.workers import store_corpus, submit, wait_for_end, wait_until, worker_process
from worker import runner
from worker.stages import STAGES


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 40) as folder:
        yield folder


def check_failed(job: Job, says: str = "full") -> None:
    assert job.status == Status.FAILED, job.error
    assert job.error
    assert (job.error["type"], job.error["code"]) == ("system", "disk_full")
    assert job.error["retryable"]
    assert says in job.error["message"]
    assert job.attempt == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "stage"),
    [
        *(("workspaces", stage) for stage in ("resolve", "tokenizer", "transfer", "package")),
        *(("files", stage) for stage in ("corpus", "transfer", "package")),
    ],
)
def test_a_disk_that_is_full_amid_a_stage(
    settings: Settings,
    db: Database,
    disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    stage: str,
) -> None:
    """Another program fills it as the stage begins."""
    data_dir = disk if where == "workspaces" else tmp_path / "data"
    blobs_url = (disk if where == "files" else tmp_path / "blobs").as_uri()
    settings = settings.model_copy(
        update={"data_dir": data_dir, "blobs_url": blobs_url, "min_free_bytes": 0}
    )
    blobs, started = Blobs(blobs_url), transitions.start_stage

    def start_stage(db: Database, claim: transitions.Claim, name: str, fraction: float) -> None:
        started(db, claim, name, fraction)
        if name == stage:
            fill(disk)

    # Without the stage that starts a process a model.
    monkeypatch.setattr(runner, "STAGES", [s for s in STAGES if s.name != "check"])
    monkeypatch.setattr(transitions, "start_stage", start_stage)
    job = run(settings, db, blobs)
    # Its room is looked at in the first stage.
    check_failed(job, "by estimate" if stage == "resolve" else "was full amid the job")
    assert stages_started(db, job.id)[-1] == stage
    assert blobs.keys(job.blob_prefix) == []
    assert not list(settings.workspaces.glob("*"))


def test_a_job_that_the_worker_has_no_room_for_says_what_it_needs(
    settings: Settings, db: Database, blobs: Blobs, disk: Path
) -> None:
    settings = settings.model_copy(update={"data_dir": disk, "min_free_bytes": 38 * MIB})
    job = run(settings, db, blobs, vocab_size=[0.5, 0.4, 0.3])
    check_failed(job, "by estimate")
    assert stages_started(db, job.id) == ["resolve"]
    assert not list(settings.workspaces.glob("*"))


@pytest.mark.slow
def test_a_worker_survives_a_disk_that_holds_everything(settings: Settings, disk: Path) -> None:
    """As in local mode: database, files and workspaces are on one disk."""
    settings = settings.model_copy(
        update={
            "data_dir": disk,
            "database_url": f"sqlite:///{disk / 'fvt.db'}",
            "blobs_url": (disk / "blobs").as_uri(),
            "min_free_bytes": 0,
            # No lease can be prolonged while nothing can be written.
            "lease_seconds": 60,
        }
    )
    db, blobs = next(open_store(settings.database_url)), Blobs(settings.blobs_url)
    corpus = store_corpus(db, blobs, texts(20_000))
    with worker_process(settings) as process:
        job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
        Dispatcher(settings).send(job.id)
        wait_until(lambda: "tokenizer" in stages_started(db, job.id))
        filler = fill(disk)
        check_failed(wait_for_end(settings, db, job.id, seconds=90))
        wait_until(lambda: blobs.keys(job.blob_prefix) == [], 30)
        wait_until(lambda: not list(settings.workspaces.glob("*")), 30)
        filler.unlink()
        again = submit(db, corpus.id, "acme/tiny-bert", SMALL)
        Dispatcher(settings).send(again.id)
        assert wait_for_end(settings, db, again.id).status == Status.SUCCEEDED
        assert process.poll() is None
    db.close()
