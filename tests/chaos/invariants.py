"""The things that must be true of a service once its faults are healed and its jobs have ended."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from app.blobs import Blobs
from app.contract.results import file_key
from app.contract.states import TERMINAL, Status
from app.corpora.models import Corpus
from app.db import Database
from app.jobs.models import Job, JobEvent
from app.maintenance.ownership import MARKER, installation_id, owner_of
from tests.chaos.jobs import REFUSAL, Kind, Ledger, label
from tests.chaos.stack import Stack
from tests.support.finished_jobs import check_artifact

ENDS = {f"job.{status}" for status in TERMINAL}

HANDED_BACK = "job.retrying worker_stopped"
"""Of a worker that is told to stop: such an attempt does not count."""


def jobs_of(db: Database) -> dict[str, Job]:
    with db.read() as session:
        return {job.id: job for job in session.scalars(select(Job))}


def lost_jobs(jobs: Mapping[str, Job], ledger: Ledger) -> Iterator[str]:
    """Name each job that was accepted and is neither there, ended, nor deleted on request."""
    for job_id in ledger.accepted:
        job = jobs.get(job_id)
        if job is None and job_id not in ledger.deleted:
            yield f"{job_id} is gone"
        elif job is not None and job.status not in TERMINAL:
            yield f"{job_id} is {job.status} for ever, at attempt {job.attempt}: {job.message}"


def double_jobs(db: Database, jobs: Mapping[str, Job], ledger: Ledger) -> Iterator[str]:
    """Name each job that nobody submitted, and each that ended more or less than once."""
    for job_id in jobs.keys() - ledger.accepted.keys():
        yield f"{job_id} was made, but no client was told of it"
    for job_id in jobs.keys() & ledger.deleted.keys():
        yield f"{job_id} was deleted and is there"
    with db.read() as session:
        events: dict[str, list[str]] = dict(ledger.deleted)
        for event in session.scalars(select(JobEvent).order_by(JobEvent.sequence)):
            events.setdefault(event.job_id, []).append(label(event.type, event.data))
    for job_id, types in events.items():
        if (job := jobs.get(job_id)) and job.status not in TERMINAL:
            continue
        ends = [type_ for type_ in types if type_ in ENDS]
        if len(ends) != 1 or types[-1] != ends[0]:
            yield f"{job_id} ended as {ends}, its last event is {types[-1]}"
        attempts = types.count("job.started") - types.count(HANDED_BACK)
        if job and (f"job.{job.status}" not in ends or attempts != job.attempt):
            yield f"{job_id} is {job.status} after {job.attempt} attempts, but its events: {types}"


def wrong_ends(jobs: Mapping[str, Job], ledger: Ledger) -> Iterator[str]:
    """Name each job that ended otherwise than its plan and the attempts that it had allow."""
    for job_id, job in jobs.items():
        plan = ledger.accepted.get(job_id)
        if plan is None or job.status not in TERMINAL:
            continue
        code = (job.error or {}).get("code")
        used_up = job.attempt >= job.max_attempts and (job.error or {}).get("retryable")
        refused = plan.kind == Kind.REFUSED and code == REFUSAL
        cancelled = plan.kind == Kind.CANCELLED and job.status == Status.CANCELLED
        succeeded = plan.kind != Kind.REFUSED and job.status == Status.SUCCEEDED
        if not (succeeded or cancelled or refused or used_up):
            yield f"{job_id} ({plan.kind}) {job.status} at attempt {job.attempt}: {job.error}"


def broken_artifacts(jobs: Mapping[str, Job], blobs: Blobs) -> Iterator[str]:
    """Name each result that is not whole, or whose bytes are not what the job says."""
    for job in jobs.values():
        if job.status != Status.SUCCEEDED:
            continue
        try:
            check_artifact(job, blobs)
            assert job.artifact
            for file in job.artifact["files"]:
                assert (
                    sha256(blobs, file_key(job.artifact["prefix"], file["path"])) == file["sha256"]
                )
        except (AssertionError, FileNotFoundError) as error:
            yield f"{job.id}: {error!r}"


def sha256(blobs: Blobs, key: str) -> str:
    with closing(blobs.reader(key)) as file:
        return hashlib.sha256(bytes(file.read())).hexdigest()


def expected_keys(db: Database, blobs: Blobs, jobs: Mapping[str, Job]) -> set[str]:
    """The keys that a row of the database names, and the one that names the database."""
    with db.read() as session:
        keys = {corpus.blob_key for corpus in session.scalars(select(Corpus))}
    if owner_of(blobs) == installation_id(db):
        keys.add(MARKER)
    for job in jobs.values():
        if job.artifact:
            prefix = job.artifact["prefix"]
            keys.add(f"{prefix}/artifact.tar.gz")
            keys |= {file_key(prefix, file["path"]) for file in job.artifact["files"]}
    return keys


def files_left(stack: Stack, db: Database, jobs: Mapping[str, Job]) -> list[str]:
    """List files that no row names, and folders with nothing in them: the service's, on this disk.

    Listing the blob store would hide files that were never finished, so the folders are walked.
    """
    data = stack.settings.data_dir
    wanted = {data / "blobs" / key for key in expected_keys(db, stack.blobs, jobs)}
    found = [path for name in ("blobs", "workspaces") for path in leaves(data / name)]
    # A killed worker of Celery's leaves an empty folder here, `pymp-…`, which is not ours to mend.
    found += [path for path in leaves(stack.scratch) if not path.is_dir()]
    return [str(path.relative_to(stack.folder)) for path in sorted(found) if path not in wanted]


def leaves(root: Path) -> Iterator[Path]:
    """Every file below a folder, and every folder below it with nothing in it."""
    for folder, names, files in os.walk(root):
        yield from (Path(folder, name) for name in files)
        if not names and not files and Path(folder) != root:
            yield Path(folder)


def kinds_of(paths: list[str], jobs: Mapping[str, Job], ledger: Ledger) -> Counter[str]:
    """Count what is left by where it lies and how its job ended, to see why it is there."""
    kinds: Counter[str] = Counter()
    for path in paths:
        parts = path.split("/")
        owner = next((part for part in parts if part.startswith(("job_", "corpus_"))), "")
        job = jobs.get(owner)
        end = job.status if job else "deleted" if owner in ledger.deleted else "no row"
        named = [part for part in parts[:5] if part != owner]
        kinds[f"{'/'.join(named[:3])} … {end}"] += 1
    return kinds
