"""The Celery application: `celery -A worker.celery_app worker`.

The parent process must not import torch: CUDA does not survive the fork into the pool. Each child
runs one job, and imports what it needs while it still waits for that.
"""

from importlib import import_module
from typing import Any

from celery.signals import worker_process_init

from app.broker import make_celery
from app.settings import get_settings

IMPORT_SECONDS = 300

app = make_celery(get_settings())
app.conf.include = ["worker.tasks"]
app.conf.worker_proc_alive_timeout = IMPORT_SECONDS


@worker_process_init.connect
def import_engine(**_: Any) -> None:
    """Have the engine at hand before a job comes."""
    import_module("worker.runner")
