"""The broker: Celery, configured once for the API that sends and the workers that receive."""

from celery import Celery

from app.settings import Settings

RUN_JOB = "fvt.run_job"
QUEUE = "fvt"
CONNECT_SECONDS = 2


def make_celery(settings: Settings) -> Celery:
    """Return a Celery app whose messages carry a job id alone: lost or repeated ones do no harm.

    The job store holds what is true, so there is no result backend and no retry here.
    """
    celery = Celery("fvt", broker=settings.broker_url)
    # A message is redelivered only after the longest possible run.
    visibility_timeout = settings.job_time_limit_seconds + 600
    celery.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        # Of the watchdog, which keeps the job's own limit.
        task_time_limit=settings.job_time_limit_seconds + 300,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        # A worker outlasts any outage, and a broker that refuses writes since its disk is full.
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            "visibility_timeout": visibility_timeout,
            "socket_timeout": CONNECT_SECONDS * 5,
            "socket_connect_timeout": CONNECT_SECONDS,
            "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 1},
        },
        visibility_timeout=visibility_timeout,
        result_backend=None,
    )
    return celery


class Dispatcher:
    """Tells the workers that a job may wait for them."""

    def __init__(self, settings: Settings) -> None:
        self._celery = make_celery(settings)

    def send(self, job_id: str) -> None:
        """Send one message; raises `kombu.exceptions.OperationalError` where the broker is away."""
        self._celery.send_task(RUN_JOB, args=[job_id], retry=False)

    def check(self) -> None:
        """Raise where the broker does not answer."""
        with self._celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
