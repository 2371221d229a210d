"""Read how long the jobs of this installation took, and on what they ran."""

from collections.abc import Sequence
from typing import cast

import orjson
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.contract.results import file_key
from app.contract.states import Status
from app.corpora.models import Corpus
from app.estimates.durations import Device, Past, Work
from app.jobs.models import Job, StageCheckpoint

MOST_JOBS = 50
MAX_REPORT_BYTES = 4 << 20


def finished_jobs(
    session: Session, most_minutes: float, usual: Sequence[str]
) -> tuple[list[Past], Job | None]:
    """Return the newest jobs that succeeded with what they took, and the newest of them.

    `usual` are the objectives that `auto` is taken for: a result does not say what its base was.
    """
    query = (
        select(Job, Corpus.documents, Corpus.characters)
        .join(Corpus, Corpus.id == Job.corpus_id)
        .where(Job.status == Status.SUCCEEDED)
        .order_by(Job.id.desc())
        .limit(MOST_JOBS)
    )
    rows = session.execute(query).all()
    ids = [job.id for job, *_ in rows]
    seconds: dict[str, dict[str, float]] = {id_: {} for id_ in ids}
    stages = select(StageCheckpoint.job_id, StageCheckpoint.stage, StageCheckpoint.seconds)
    for job_id, stage, took in session.execute(stages.where(StageCheckpoint.job_id.in_(ids))):
        seconds[job_id][stage] = took
    past = [
        Past(work, seconds[job.id])
        for job, documents, characters in rows
        if seconds[job.id] and (work := _work_of(job, documents, characters, most_minutes, usual))
    ]
    return past, rows[0][0] if rows else None


def _work_of(
    job: Job, documents: int, characters: int, most_minutes: float, usual: Sequence[str]
) -> Work | None:
    """Return what a job had to do; None where its result does not say, as that of older versions.

    That of a target says it of one of its models, and not how many there were.

    Of a sweep, the headline has one size: the others are taken to be as large.
    """
    result = job.result or {}
    try:
        recipe = Recipe.stored(job.recipe)
        before, after = int(result["parameters_before"]), int(result["parameters_after"])
        shares = result["vocab_size_before"], result["vocab_size_after"]
        tokens = float(result["tokens_per_text_after"])
    except (ValidationError, KeyError, TypeError, ValueError):
        return None
    if recipe.target:
        return None
    # Tables shrink with their rows, and nothing else does unless layers were dropped.
    shrunk = 1 - shares[1] / max(1, shares[0])
    table = before - after if not recipe.recovery.keep_layers and shrunk > 0 else 0
    base_table = min(before, round(table / shrunk)) if shrunk > 0 else 0
    one, asked = (after, max(0, base_table - table)), recipe.recovery.objective
    return Work(
        recipe=recipe,
        objectives=usual if asked == "auto" else [] if asked == "none" else asked.split("+"),
        base=(before, base_table),
        sizes=[one] * len(recipe.sizes),
        documents=documents,
        characters=characters,
        tokens=tokens,
        most_minutes=most_minutes,
    )


def device_of(blobs: Blobs, job: Job | None) -> Device | None:
    """Return what the recovery of a job ran on, by its report; None where that does not say."""
    if job is None or not job.artifact:
        return None
    try:
        key = file_key(str(job.artifact["prefix"]), "report.json")
        size = blobs.size(key)
        if size is None or size > MAX_REPORT_BYTES:
            return None
        recovery = orjson.loads(b"".join(blobs.stream(key, 0, size))).get("recovery") or {}
        found = recovery.get("device")
    except (OSError, ValueError, AttributeError, KeyError):
        return None
    return cast(Device, found) if found in {"cpu", "cuda"} else None
