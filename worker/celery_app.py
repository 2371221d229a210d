"""The Celery application: `celery -A worker.celery_app worker`.

The parent process must not import torch: CUDA does not survive the fork into the pool. Each child
answers one doorbell, and imports what a job needs while it still waits for that.
"""

import subprocess
import sys
from importlib import import_module
from threading import Thread
from typing import Any

from celery.signals import celeryd_init, worker_process_init

from app.broker import make_celery
from app.settings import Settings, get_settings

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

    PyTorch looks in a process of its own, since the worker's parent process must not import it.

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


app = make_celery(get_settings())
app.conf.include = ["worker.tasks"]


@celeryd_init.connect
def check_before_start(**_: Any) -> None:
    """Refuse to start where jobs could not run as the settings ask."""
    check_device(get_settings())


@worker_process_init.connect
def import_engine(**_: Any) -> None:
    """Have the engine at hand before a job comes; a doorbell for nothing need not wait for it."""
    Thread(target=import_module, args=("worker.runner",), daemon=True).start()
