"""Jobs whose stages are stuck, grow or crash in native code, in a real worker."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.db import Database
from app.jobs.models import Job
from tests.support.finished_jobs import UNTRAINED, stages_started
from tests.support.job_store import cancel, open_store, read
from tests.support.servers import local_settings, valkey_server
from tests.support.tiny_models import texts
from tests.support.workers import (
    events,
    store_corpus,
    submit,
    wait_for_end,
    wait_until,
    worker_process,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux ends processes with their parents"),
]
MEMORY = 2 << 30
TIME_LIMIT = 12
PROMISED_SECONDS = 10
"""Between the order to end and the end of all processes."""
PLAIN = Recipe.model_validate({"vocab_size": 0.5, "evaluation": {"latency": False}, **UNTRAINED})


@dataclass
class HostileService:
    """A worker, of which a job's stage does what the file `act` says."""

    settings: Any
    db: Database
    blobs: Blobs
    worker: subprocess.Popen[bytes]
    act: Path

    def begin(self, where: str, act: str) -> Job:
        """Start a job of which a stage, or the self-check's process, does something else."""
        self.act.write_text(f"{where} {act}")
        corpus = store_corpus(self.db, self.blobs, texts(800))
        job = submit(self.db, corpus.id, "acme/tiny-bert", PLAIN)
        Dispatcher(self.settings).send(job.id)
        return job

    def end(self, job: Job) -> Job:
        return wait_for_end(self.settings, self.db, job.id)

    @property
    def watchdog(self) -> psutil.Process:
        """The process of the pool; a sweep of what killed workers left is one beside it."""
        parent = psutil.Process(self.worker.pid)
        (child,) = (c for c in parent.children() if c.cmdline() == parent.cmdline())
        return child

    @property
    def processes(self) -> list[psutil.Process]:
        """All that the watchdog started, however far down."""
        return self.watchdog.children(recursive=True)

    def check_ends_when_cancelled(self, job: Job) -> None:
        began = time.monotonic()
        cancel(self.db, job.id)
        wait_until(lambda: read(self.db, job.id).status == Status.CANCELLED, PROMISED_SECONDS)
        self.check_nothing_is_left(job)
        assert time.monotonic() - began < PROMISED_SECONDS

    def check_nothing_is_left(self, job: Job) -> None:
        wait_until(lambda: not self.processes, 5)
        wait_until(lambda: not list(self.settings.workspaces.glob(f"{job.id}/*")), 10)
        wait_until(lambda: not self.blobs.keys(f"{job.blob_prefix}/stages"), 10)
        # No thread is there that the next job's fork would lack.
        assert self.watchdog.num_threads() == 1


@contextmanager
def hostile_service(folder: Path, models: Path, **limits: int) -> Iterator[HostileService]:
    """A service on a broker of its own: another's worker would answer its messages."""
    act = folder / "act"
    for broker in valkey_server():
        settings = local_settings(folder, broker).model_copy(
            update={"models_dir": models, "extensions": ["tests.hostile_extension"], **limits}
        )
        for db in open_store(settings.database_url):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("FVT_TEST_ACT", str(act))
                with worker_process(settings) as worker:
                    yield HostileService(settings, db, Blobs(settings.blobs_url), worker, act)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[HostileService]:
    folder = tmp_path_factory.mktemp("service")
    with hostile_service(folder, models, job_memory_bytes=MEMORY) as running:
        yield running


def check_failed_at_once(done: Job, type_: str, code: str) -> None:
    assert done.status == Status.FAILED
    assert done.error
    assert (done.error["type"], done.error["code"]) == (type_, code)
    assert not done.error["retryable"]
    assert done.attempt == 1


STUCK = ["resolve", "corpus", "tokenizer", "transfer", "recover", "check", "export", "evaluate"]


@pytest.mark.parametrize("stage", [*STUCK, "package"])
def test_a_stage_that_is_stuck_ends_soon_after_a_cancel(
    service: HostileService, stage: str
) -> None:
    job = service.begin(stage, "hold")
    wait_until(lambda: stages_started(service.db, job.id)[-1:] == [stage])
    time.sleep(1)
    service.check_ends_when_cancelled(job)


@pytest.mark.parametrize(
    ("where", "act", "processes"),
    # The attempt and the self-check's process are there from the start.
    [("tokenizer", "leave_orphans", 4), ("child", "hold", 2), ("child", "leave_orphans", 4)],
)
def test_all_that_a_job_started_ends_soon_after_a_cancel(
    service: HostileService, where: str, act: str, processes: int
) -> None:
    job = service.begin(where, act)
    stage = "check" if where == "child" else where
    wait_until(lambda: stages_started(service.db, job.id)[-1:] == [stage])
    wait_until(lambda: len(service.processes) == processes)
    time.sleep(1)
    started = service.processes
    service.check_ends_when_cancelled(job)
    assert not [process for process in started if process.is_running()]


def test_memory_is_bounded(service: HostileService) -> None:
    job = service.begin("tokenizer", "grow")
    check_failed_at_once(service.end(job), "user", "out_of_memory")
    service.check_nothing_is_left(job)


@pytest.mark.parametrize(
    ("where", "act", "says"),
    [
        ("transfer", "crash", "SIGSEGV"),
        ("transfer", "abort", "SIGABRT"),
        ("child", "crash", "-11"),
        ("child", "panic", "ended with 1"),
    ],
)
def test_a_crash_below_python_ends_the_job_at_once(
    service: HostileService, where: str, act: str, says: str
) -> None:
    job = service.begin(where, act)
    done = service.end(job)
    check_failed_at_once(done, "system", "library_crashed")
    assert done.error
    assert says in done.error["message"]
    service.check_nothing_is_left(job)


@pytest.mark.parametrize("act", ["die", "freeze"])
def test_a_job_whose_process_is_killed_or_frozen_is_tried_again_later(
    service: HostileService, act: str
) -> None:
    job = service.begin("transfer", act)
    wait_until(lambda: ("job.retrying", None) in events(service.db, job.id), 60)
    again = read(service.db, job.id)
    assert (again.status, again.attempt) == (Status.QUEUED, 1)
    wait_until(lambda: not service.processes, 5)
    service.act.unlink()
    done = service.end(job)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2)
    service.check_nothing_is_left(job)


def test_a_job_ends_with_a_killed_watchdog_and_is_taken_up_again(service: HostileService) -> None:
    job = service.begin("child", "hold")
    wait_until(lambda: stages_started(service.db, job.id)[-1:] == ["check"])
    started = service.processes
    assert len(started) == 2
    service.act.unlink()
    service.watchdog.kill()
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []
    done = service.end(job)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2)


def test_a_job_ends_at_its_time_limit(tmp_path: Path, models: Path) -> None:
    with hostile_service(tmp_path, models, job_time_limit_seconds=TIME_LIMIT) as service:
        job = service.begin("tokenizer", "hold")
        wait_until(lambda: read(service.db, job.id).status == Status.RUNNING)
        began = time.monotonic()
        done = service.end(job)
        assert time.monotonic() - began < TIME_LIMIT + PROMISED_SECONDS
        check_failed_at_once(done, "system", "time_limit")
        service.check_nothing_is_left(job)
