"""The Celery application: `celery -A worker.celery_app worker`.

The parent process imports the engine once. The process of its pool is a fork of it and takes the
messages up; each job runs in a fork of that one (docs/decisions 0011 and 0015). Neither CUDA nor a
thread survives a fork, so nothing here may touch a GPU, and no module of the engine may do so, or
start a thread, where it is imported.
"""

import gc
import os
import subprocess
import sys
from importlib import import_module
from typing import Any

from celery.bootsteps import StartStopStep
from celery.signals import celeryd_init, worker_ready

from app.broker import make_celery
from app.extensions import import_names
from app.settings import Settings, get_settings
from worker import shutdown
from worker.leftovers import Sweeper

POOL_SECONDS = 0.2
"""How often the parent process looks whether a process of the pool has ended."""

_COUNT = "import torch; print(torch.cuda.device_count())"
_NO_GPU = (
    "FVT_DEVICE is cuda, but PyTorch finds no GPU here: install the NVIDIA driver and the CUDA "
    "build of PyTorch, give the container a GPU, or set FVT_DEVICE to auto."
)
_TOO_FEW_GPUS = (
    "FVT_RECOVERY_PROCESSES is {wanted}, but PyTorch finds {found} GPUs here, and each process "
    "needs one of its own: set it to 1, or give the container more."
)


def check_device(settings: Settings) -> None:
    """End a worker that is to use GPUs it does not have.

    PyTorch looks in a process of its own: once asked for GPUs, it uses none in forked processes.

    Raises:
        SystemExit: there are none, or too few; the message says what to do.

    """
    wanted = settings.recovery_processes
    if settings.device == "cpu" or (settings.device == "auto" and wanted == 1):
        return
    found = _gpus()
    if settings.device == "cuda" and not found:
        raise SystemExit(_NO_GPU)
    if wanted > max(1, found):
        raise SystemExit(_TOO_FEW_GPUS.format(wanted=wanted, found=found))


def _gpus() -> int:
    """Return how many there are; none where PyTorch cannot tell."""
    command = [sys.executable, "-c", _COUNT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return int(done.stdout) if done.stdout.strip().isdigit() else 0


import_names(get_settings())
app = make_celery(get_settings())
app.conf.include = ["worker.tasks"]


@celeryd_init.connect
def make_ready(**_: Any) -> None:
    """Refuse to start where jobs could not run as the settings ask; else have the engine ready."""
    check_device(get_settings())
    import_engine()
    import_module("worker.general_choice").check_general_text(get_settings())


def import_engine() -> None:
    """Import what runs a job, before the pool forks its processes from this one."""
    # Each of the two would start a thread. Arrow allocates with mimalloc, and needs no jemalloc;
    # what ONNX Runtime is used for is nobody else's business, and it would keep a database open.
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import_module("worker.runner")
    # The garbage collector of a child writes to every object it knows, and so copies its page.
    gc.collect()
    gc.freeze()


@worker_ready.connect
def replace_ended_processes_soon(sender: Any, **_: Any) -> None:
    """Have a job that follows a killed process wait for a fork, not for Celery's next look.

    Celery looks as soon as a process closes its files. Often that has not quite ended then, and
    Celery's next look is up to five seconds later.
    """
    sender.hub.call_repeatedly(POOL_SECONDS, sender.pool.maintain_pool)


@worker_ready.connect
def sweep_workspaces(sender: Any, **_: Any) -> None:
    """Remove what workers that were killed left on this machine, now and again and again."""
    sweeper = Sweeper(get_settings())
    sweeper()
    sender.hub.call_repeatedly(get_settings().reap_seconds, sweeper)
    # A process that has ended is kept as long as nobody asks for its status.
    sender.hub.call_repeatedly(POOL_SECONDS, sweeper.sweeps)


class HandBack(StartStopStep):
    """Ends jobs before Celery waits for its pool: at SIGTERM, SIGHUP, Ctrl-C, remote shutdown."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Have the running job handed back, and no other one begun."""
        shutdown.stop_worker()


app.steps["worker"].add(HandBack)
