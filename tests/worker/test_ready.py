"""A worker whose processes have the engine from their first moment on."""

import json
import subprocess
import sys
from functools import partial
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.recipe import Recipe
from app.contract.states import TERMINAL, Status
from app.db import Database
from app.jobs.models import JobEvent
from app.settings import Settings
from tests.support.finished_jobs import UNTRAINED
from tests.support.job_store import read
from tests.support.tiny_models import texts
from tests.support.workers import store_corpus, submit, wait_for_end, wait_until, worker_process

# What the engine's modules call of torch.cuda while they are imported is written down, since a
# build for the CPU answers without looking for a GPU, and one for CUDA may not.
IMPORT = """
import json, os, sys, traceback
import torch

asked = []
def record(name):
    real = getattr(torch.cuda, name)
    def recorded(*args, **kwargs):
        asked.append([name, traceback.format_stack(limit=4)])
        return real(*args, **kwargs)
    setattr(torch.cuda, name, recorded)

for name in ("is_available", "device_count", "current_device", "get_device_properties",
             "get_device_capability", "get_device_name", "_lazy_init", "init"):
    record(name)
from worker.celery_app import import_engine
import_engine()
if not os.fork():
    x = torch.ones(700, 700)
    os._exit(0 if torch.equal(x @ x, x * 700) else 1)
_, status = os.wait()
open_files = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
print(json.dumps({
    "asked": asked,
    "child": status,
    "threads": len(os.listdir("/proc/self/task")),
    "imported": [m for m in ("worker.runner", "onnxruntime", "pyarrow") if m in sys.modules],
    "files": [path for path in map(os.path.realpath, open_files) if os.path.isfile(path)],
    "initialized": torch.cuda.is_initialized(),
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads by /proc")
def test_the_engine_is_imported_without_a_gpu_and_leaves_no_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout)
    assert found["asked"] == []
    assert not found["initialized"]
    # OpenBLAS ends its threads before each fork, so the fork has none, nor the parent after it.
    assert (found["child"], found["threads"]) == (0, 1)
    assert found["imported"] == ["worker.runner", "onnxruntime", "pyarrow"]
    # A database of ONNX Runtime's would be one, and SQLite's do not survive a fork.
    assert found["files"] == []


STALE = 20


def child_of(worker: subprocess.Popen[bytes], but: int = 0) -> psutil.Process:
    """The process that waits for the next job; `but` is the one before it."""
    parent, found = psutil.Process(worker.pid), list[psutil.Process]()

    def there() -> bool:
        found[:] = [child for child in parent.children() if child.pid != but]
        return len(found) == 1

    wait_until(there)
    return found[0]


def has_torch(process: psutil.Process) -> bool:
    return any("libtorch" in mapped.path for mapped in process.memory_maps())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory maps")
def test_stale_messages_cost_no_fork_and_killed_processes_little(
    settings: Settings, db: Database
) -> None:
    assert db
    with worker_process(settings) as worker:
        child, parent = child_of(worker), psutil.Process(worker.pid)
        assert has_torch(child)
        assert parent.num_threads() == 1
        before = child.cpu_times()
        for number in range(STALE):
            Dispatcher(settings).send(f"job_gone{number}")
        log = settings.data_dir / "worker.log"
        wait_until(lambda: log.read_text().count("does not wait for this worker") == STALE)
        # One process took them all: none was forked, within it or in its place.
        assert child_of(worker) == child
        used, after = child.cpu_times(), parent.cpu_times()
        assert used.children_user + used.children_system == 0
        assert after.children_user + after.children_system == 0
        assert (used.user + used.system - before.user - before.system) / STALE < 0.1
        assert child.num_threads() == 1
        child.kill()
        child = child_of(worker, but=child.pid)
        assert has_torch(child)
        assert parent.num_threads() == 1


RECIPES: list[dict[str, Any]] = [
    UNTRAINED,
    {"recovery": {"max_steps": 3}},
    {"vocab_size": [0.5, 240], **UNTRAINED},
    {"export": {"int8": True}, **UNTRAINED},
    {"recovery": {"max_steps": 3}, "evaluation": {"latency": True, "memory": True}},
]


def seconds_to_first_stage(db: Database, job_id: str) -> float:
    """From the claim of a job to its first stage."""
    with db.read() as session:
        query = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.sequence)
        events = list(session.scalars(query))
    began = {event.type: event.created_at for event in reversed(events)}
    return (began["stage.started"] - began["job.started"]).total_seconds()


def is_at_work(db: Database, job_id: str, pool_process: psutil.Process) -> bool:
    """Tell whether an attempt runs, or has ended already."""
    return bool(pool_process.children()) or read(db, job_id).status in TERMINAL


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_worker_runs_jobs_in_a_row(settings: Settings, db: Database, blobs: Blobs) -> None:
    corpus = store_corpus(db, blobs, texts(800))
    plain = {"vocab_size": 0.5, "evaluation": {"latency": False}}
    recipes = [Recipe.model_validate(plain | recipe) for recipe in RECIPES * 4]
    with worker_process(settings) as worker:
        first = child_of(worker)
        ran = set[int]()
        jobs = [submit(db, corpus.id, "acme/tiny-bert", recipe) for recipe in recipes]
        for job in jobs:
            Dispatcher(settings).send(job.id)
            wait_until(partial(is_at_work, db, job.id, first))
            ran |= {process.pid for process in first.children()}
            done = wait_for_end(settings, db, job.id)
            assert (done.status, done.attempt) == (Status.SUCCEEDED, 1), done.error
        # Each in a process of its own, under the same watchdog, which no thread is left in. A look
        # may come too late for a short one, or find the one before it, which is about to go.
        assert len(ran) >= len(jobs) // 2
        assert first.is_running()
        # The watch over the last job ends a moment after the job.
        wait_until(lambda: first.num_threads() == 1, 10)
        assert psutil.Process(worker.pid).num_threads() == 1
    assert min(seconds_to_first_stage(db, job.id) for job in jobs) < 1
