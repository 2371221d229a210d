"""The Celery application: `celery -A worker.celery_app worker`.

The parent process must not import torch: CUDA does not survive the fork into the pool. Each child
answers one doorbell, and imports what a job needs while it still waits for that.
"""

from importlib import import_module
from threading import Thread
from typing import Any

from celery.signals import celeryd_init, worker_process_init

from app.broker import make_celery
from app.settings import get_settings
from worker.startup import check_device

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
