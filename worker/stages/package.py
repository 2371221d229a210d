"""Bring the result to where it is downloaded from, with the evidence."""

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.blobs import Blobs
from app.jobs.artifact import Artifact, ArtifactFile, archive_key, file_key
from worker.archive import Archive
from worker.compression import (
    Provenance,
    Report,
    write_manifest,
    write_model_card,
    write_report,
)
from worker.context import JobContext, StageProgress, write_json
from worker.report import build_report, headline
from worker.workspace import sha256


def package(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `artifact.json`: the headline figures, and the files that now lie in blob storage.

    The weights, which take the time, are packed first: then the report, which is packed last, can
    hold the time of nearly all of this stage too.
    """
    began = time.perf_counter()
    # The claim's own place: a worker that lost its lease overwrites nothing.
    prefix = f"{context.job.blob_prefix}/results/{context.claim.token}"
    build = context.workspace.root / "artifact"
    shutil.copytree(context.output("transfer", "model"), build, dirs_exist_ok=True)
    archive_file = context.workspace.root / "artifact.tar.gz"
    with Archive(archive_file, build, _folder_name(context.job.base_model)) as archive:
        progress(0.0, "packing the model")
        model = _files(build)
        archive.add(model)
        files = list(_store(context.blobs, prefix, build, model))
        progress(0.9, "writing the report")
        context.stage_seconds["package"] = time.perf_counter() - began
        report = build_report(context)
        _write_evidence(context, build, report)
        evidence = sorted(set(_files(build)) - set(model))
        archive.add(evidence)
    files += _store(context.blobs, prefix, build, evidence)
    context.blobs.put(archive_key(prefix), archive_file)
    artifact = Artifact(
        prefix=prefix,
        bytes=archive_file.stat().st_size,
        sha256=sha256(archive_file),
        files=sorted(files, key=lambda file: file.path),
    )
    result = {"result": headline(report), "artifact": artifact.model_dump()}
    write_json(folder / "artifact.json", result)


def _write_evidence(context: JobContext, build: Path, report: Report) -> None:
    write_report(build, report)
    write_model_card(build, report)
    base = context.read("resolve", "base.json")
    origin = Provenance(base["id"], base["commit"], context.corpus.sha256, context.recipe.seed)
    write_manifest(build, origin)


def _store(blobs: Blobs, prefix: str, build: Path, paths: Iterable[str]) -> Iterator[ArtifactFile]:
    """Put files into blob storage, one by one; yields what the front end tells of each."""
    for path in paths:
        file = build / path
        blobs.put(file_key(prefix, path), file)
        yield ArtifactFile(path=path, bytes=file.stat().st_size, sha256=sha256(file))


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(found)


def _folder_name(base_model: str) -> str:
    return f"{base_model.rpartition('/')[2]}-fvt"
