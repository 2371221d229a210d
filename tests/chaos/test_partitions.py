"""Parts of a cluster cut off from each other for longer than a lease, and joined again."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import select

from app.contract.states import Status
from app.jobs.models import Job
from tests.chaos import invariants
from tests.chaos.cluster import Machines, machines
from tests.chaos.jobs import Client, Kind, Ledger, Plan, corpus_text
from tests.chaos.stack import LEASE_SECONDS
from tests.support.finished_jobs import STAGES
from tests.support.workers import events, wait_until

JOBS = 6
CUT_SECONDS = 2 * LEASE_SECONDS
END_SECONDS = 300
FENCED = re.compile(r"(job_\w+) is another worker's now")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_partitions_lose_no_job_and_run_none_twice() -> None:
    with machines() as cluster:
        ledger = Ledger()
        deadline = time.monotonic() + END_SECONDS + 4 * CUT_SECONDS
        corpus_id = upload(cluster)
        with ThreadPoolExecutor(JOBS) as clients:
            ends = []
            for number in range(JOBS):
                urls = turned(cluster.urls, number)
                client = Client(urls, ledger, corpus_id, lambda: deadline)
                ends.append(clients.submit(client.carry_out, Plan(number, Kind.WHOLE, 0, "")))
            cut = cut_off_from_the_database(cluster)
            cut_off_from_the_broker(cluster, corpus_id, ledger, deadline)
            cut_off_from_the_store(cluster)
            for end in ends:
                end.result()
        check(cluster, ledger)
        # Whoever was cut off has found out that the job is no longer its own.
        wait_until(lambda: cut in FENCED.findall(log_of_workers(cluster)), 30)


def turned(urls: list[str], by: int) -> list[str]:
    return urls[by % len(urls) :] + urls[: by % len(urls)]


def upload(cluster: Machines) -> str:
    files = {"file": ("corpus.txt", corpus_text(0))}
    answer = httpx.post(f"{cluster.urls[0]}/v1/corpora", files=files, timeout=30, trust_env=False)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def cut_off_from_the_database(cluster: Machines) -> str:
    """Part a worker that runs a job from PostgreSQL until its lease is over; returns the job."""
    node, job_id = "", ""

    def is_running() -> bool:
        nonlocal node, job_id
        for job in running_jobs(cluster):
            for worker in cluster.workers:
                pid = int((job.worker or ":0").rpartition(":")[2])
                if pid in {process.pid for process in worker.family()}:
                    node, job_id = worker.name, job.id
                    # Early enough to be cut off before it has done.
                    return job.stage in STAGES[:5]
        return False

    wait_until(is_running, 120)
    cluster.net.part(node, "postgres")
    # The job is taken from it while it is away, and does not know.
    wait_until(lambda: ("job.retrying", None) in events(cluster.db, job_id), 60)
    assert not FENCED.findall(log_of_workers(cluster))
    cluster.net.join(node, "postgres")
    return job_id


def running_jobs(cluster: Machines) -> list[Job]:
    with cluster.db.read() as session:
        return list(session.scalars(select(Job).where(Job.status == Status.RUNNING)))


def cut_off_from_the_broker(
    cluster: Machines, corpus_id: str, ledger: Ledger, deadline: float
) -> None:
    """Part one API from Redis: what it accepts meanwhile is run all the same."""
    cluster.net.part("api1", "redis")
    plan = Plan(JOBS, Kind.WHOLE, 0, "")
    client = Client([cluster.urls[1]], ledger, corpus_id, lambda: deadline)
    began = time.monotonic()
    job_id = client.submit(plan, "first")
    assert time.monotonic() - began < 5
    time.sleep(CUT_SECONDS)
    cluster.net.join("api1", "redis")
    client.wait(job_id)


def cut_off_from_the_store(cluster: Machines) -> None:
    """Part all workers from S3, and one from everything."""
    for worker in cluster.workers:
        cluster.net.part(worker.name, "s3")
    cluster.net.unplug("worker2")
    time.sleep(CUT_SECONDS)
    for worker in cluster.workers:
        cluster.net.join(worker.name, "s3")
    cluster.net.plug("worker2")


def check(cluster: Machines, ledger: Ledger) -> None:
    jobs = invariants.jobs_of(cluster.db)
    assert list(invariants.lost_jobs(jobs, ledger)) == []
    assert list(invariants.double_jobs(cluster.db, jobs, ledger)) == []
    assert list(invariants.wrong_ends(jobs, ledger)) == []
    assert list(invariants.broken_artifacts(jobs, cluster.blobs)) == []
    assert {job.status for job in jobs.values()} == {Status.SUCCEEDED}
    assert len(jobs) == JOBS + 1
    wanted = invariants.expected_keys(cluster.db, cluster.blobs, jobs)
    wait_until(lambda: set(cluster.blobs.keys("")) == wanted, 60)
    assert cluster.store.open_uploads() == []


def log_of_workers(cluster: Machines) -> str:
    return "".join(cluster.log(worker.name) for worker in cluster.workers)
