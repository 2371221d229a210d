"""Bring the result to where it is downloaded from, with the evidence."""

import gzip
import shutil
import tarfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.contract.artifact import Artifact, ArtifactFile, archive_key, file_key
from app.contract.report import Report
from worker.compression import Provenance, write_manifest, write_model_card, write_report
from worker.context import JobContext, StageProgress, write_json
from worker.report import build_report, gate_error, headline, model_paths
from worker.workspace import sha256


class Archive:
    """A `.tar.gz` of one folder, to which files are added as they are ready."""

    def __init__(self, path: Path, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        # Weights shrink little at any level; the fastest is a minute sooner on a large model.
        self._file = path.open("wb")
        self._gzip = gzip.GzipFile("", "wb", compresslevel=1, fileobj=self._file, mtime=0)
        self._tar = tarfile.TarFile(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, paths: Iterable[str]) -> None:
        """Add files by their path in the folder."""
        for path in paths:
            self._tar.add(self._folder / path, f"{self._name}/{path}", filter=_anonymous)

    def close(self) -> None:
        """Write the end; until then the archive is no archive."""
        self._tar.close()
        self._gzip.close()
        self._file.close()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def package(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `artifact.json`: the headline figures, and the files that now lie in blob storage.

    Of several models one is at the root, and `error` says where that falls short of the gate.

    The weights, which take the time, are packed first: then the report, which is packed last, can
    hold the time of nearly all of this stage too.
    """
    began = time.perf_counter()
    shipment = ArtifactBuilder(context)
    progress(0.0, "packing the model")
    for path, size in model_paths(context).items():
        for made in (context.final_model(size), context.exported(size)):
            if made.is_dir():
                shutil.copytree(made, shipment.build / path, dirs_exist_ok=True)
    shipment.add_new_files()
    progress(0.9, "writing the report")
    context.stage_seconds["package"] = time.perf_counter() - began
    report = build_report(context)
    write_evidence(context, shipment.build, report)
    shipment.add_new_files()
    artifact = shipment.send()
    error = gate_error(context.recipe.gate, context.read("evaluate", "evaluation.json")["sizes"])
    done = {
        "result": headline(report),
        "artifact": artifact.model_dump(),
        "error": error and error.model_dump(),
    }
    write_json(folder / "artifact.json", done)


def write_evidence(context: JobContext, build: Path, report: Report) -> None:
    """Add the reports, the model card and the manifest to the files of the result."""
    write_report(build, report)
    write_model_card(build, report)
    base = context.read("resolve", "base.json")
    origin = Provenance(base["id"], base["commit"], context.corpus.sha256, context.recipe.seed)
    write_manifest(build, origin)


class ArtifactBuilder:
    """The files of a result on their way to blob storage, one by one and as an archive.

    Their keys are the claim's own: a worker that lost its lease overwrites nothing.
    """

    def __init__(self, context: JobContext) -> None:
        self.build = context.workspace.root / "artifact"
        self._prefix = f"{context.job.blob_prefix}/results/{context.claim.token}"
        self._blobs = context.blobs
        self._files: dict[str, ArtifactFile] = {}
        self._packed = context.workspace.root / "artifact.tar.gz"
        name = context.job.base_model.rpartition("/")[2]
        self._archive = Archive(self._packed, self.build, f"{name}-fvt")

    def add_new_files(self) -> None:
        """Store and pack what lies in `build` and was not there before."""
        paths = [path for path in _files(self.build) if path not in self._files]
        self._archive.add(paths)
        for path in paths:
            file = self.build / path
            self._blobs.put(file_key(self._prefix, path), file)
            self._files[path] = ArtifactFile(
                path=path, bytes=file.stat().st_size, sha256=sha256(file)
            )

    def send(self) -> Artifact:
        """Store the archive; returns what the front end needs to find everything."""
        self._archive.close()
        self._blobs.put(archive_key(self._prefix), self._packed)
        return Artifact(
            prefix=self._prefix,
            bytes=self._packed.stat().st_size,
            sha256=sha256(self._packed),
            files=[self._files[path] for path in sorted(self._files)],
        )


def _files(folder: Path) -> Sequence[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(found)
