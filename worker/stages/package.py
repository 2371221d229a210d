"""Bring the result to where it is downloaded from, with the evidence."""

import gzip
import os
import shutil
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

from app.contract.results import Artifact, ArtifactFile, PackagedResult, file_key
from worker.compression import Provenance, write_manifest, write_model_card, write_report
from worker.context import JobContext, StageProgress
from worker.report import build_report, headline, model_paths, shortfall


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

    Of several models one is at the root, and `error` says where that falls short of what was asked.

    The weights, which take the time, are packed first: then the report, which is packed last, can
    hold the time of nearly all of this stage too.
    """
    began = time.perf_counter()
    builder = ArtifactBuilder(context)
    progress(0.0, "packing the model")
    for path, point in model_paths(context).items():
        for made in (context.final_folder(point), context.exported_folder(point)):
            if made.is_dir():
                target = builder.folder / path
                shutil.copytree(made, target, copy_function=os.link, dirs_exist_ok=True)
    builder.add_new_files()
    progress(0.9, "writing the report")
    context.stage_seconds["package"] = time.perf_counter() - began
    report = build_report(context)
    write_report(builder.folder, report)
    write_model_card(builder.folder, report, context.base_folder)
    commit, corpus = context.resolved.commit, context.corpus.sha256
    provenance = Provenance(context.resolved.id, commit, corpus, context.recipe.seed)
    write_manifest(builder.folder, provenance, context.workspace.sha256)
    builder.add_new_files()
    packaged = PackagedResult(
        result=headline(report),
        artifact=builder.send(),
        error=shortfall(context),
    )
    packaged.write(folder / "artifact.json")


class ArtifactBuilder:
    """The files of a result on their way to blob storage, one by one and as an archive.

    Their keys are the claim's own: a worker that lost its lease overwrites nothing.
    """

    def __init__(self, context: JobContext) -> None:
        self._workspace = context.workspace
        self.folder = context.workspace.root / "artifact"
        self._prefix = f"{context.job.blob_prefix}/results/{context.claim.token}"
        self._blobs = context.blobs
        self._files: dict[str, ArtifactFile] = {}
        self._packed = context.workspace.root / "artifact.tar.gz"
        name = context.job.base_model.rpartition("/")[2]
        self._archive = Archive(self._packed, self.folder, f"{name}-fvt")

    def add_new_files(self) -> None:
        """Store and pack what lies in `folder` and was not there before."""
        files = {
            path.relative_to(self.folder).as_posix(): path
            for path in self.folder.rglob("*")
            if path.is_file()
        }
        new = sorted(files.keys() - self._files.keys())
        self._archive.add(new)
        for path in new:
            digest = self._workspace.store(files[path], file_key(self._prefix, path))
            size = files[path].stat().st_size
            self._files[path] = ArtifactFile(path=path, bytes=size, sha256=digest)

    def send(self) -> Artifact:
        """Store the archive; returns what the front end needs to find everything."""
        self._archive.close()
        artifact = Artifact(
            prefix=self._prefix,
            bytes=self._packed.stat().st_size,
            sha256=self._workspace.sha256(self._packed),
            files=[self._files[path] for path in sorted(self._files)],
        )
        self._blobs.put(artifact.archive_key, self._packed)
        return artifact
