"""A job's intermediate files: a local folder, mirrored to blob storage stage by stage."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.blobs import Blobs
from worker.compression.report.files import file_sha256

Outputs = dict[str, Any]
"""Of each file of a stage, by its path: the key in blob storage and the sha256."""


class Workspace:
    """One folder a stage. A stage that is done can be brought back on any machine.

    Folder and mirror are this claim's own (`token`): a worker that lost its lease and does not know
    it yet cannot touch the files of the one that follows it.
    """

    def __init__(
        self, folder: Path, blobs: Blobs, blob_prefix: str, job_id: str, token: int
    ) -> None:
        self._job_folder = folder / job_id
        self.root = self._job_folder / str(token)
        self._blobs = blobs
        self._stages = f"{blob_prefix}/stages"
        self._mirror = f"{self._stages}/{token}"
        self._partials: Outputs = {}
        self._saves = 0
        # By inode, size and time of change: files that are links of each other are hashed once.
        self._digests: dict[tuple[int, ...], str] = {}
        self._stored: dict[str, str] = {}

    def sha256(self, file: Path) -> str:
        """Return the hex digest of a file, computed once as long as it does not change."""
        status = file.stat()
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if identity not in self._digests:
            self._digests[identity] = file_sha256(file)
        return self._digests[identity]

    def store(self, file: Path, key: str) -> str:
        """Put a file into blob storage and return its sha256.

        What lies there already under another key is copied by the storage itself.
        """
        digest = self.sha256(file)
        try:
            self._blobs.copy(self._stored[digest], key)
        except (KeyError, FileNotFoundError):
            self._blobs.put(key, file)
            self._stored[digest] = key
        return digest

    def begin(self, stage: str) -> Path:
        """An empty folder for the stage."""
        folder = self.root / stage
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def save(self, stage: str) -> Outputs:
        """Mirror the stage's files; returns each one's key and sha256, for the checkpoint."""
        folder = self.root / stage
        outputs = {}
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            path = file.relative_to(folder).as_posix()
            key = f"{self._mirror}/{stage}/{path}"
            outputs[path] = {"key": key, "sha256": self.store(file, key)}
        return outputs

    def save_partial(self, stage: str) -> Outputs:
        """Mirror what a stage has so far; files that did not change since are not sent again.

        Each time under keys of its own: until the new ones are written down, the old ones count.
        """
        self._saves += 1
        folder, outputs = self.root / stage, {}
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            path, digest = file.relative_to(folder).as_posix(), self.sha256(file)
            if self._partials.get(path, {}).get("sha256") != digest:
                key = f"{self._mirror}/{stage}.partial/{self._saves}/{path}"
                self.store(file, key)
                self._partials[path] = {"key": key, "sha256": digest}
            outputs[path] = self._partials[path]
        self._partials = dict(outputs)
        return outputs

    def drop_partials(self, stage: str, but: Outputs) -> None:
        """Delete what this claim mirrored of an unfinished stage and nothing names any more."""
        kept = {output["key"] for output in but.values()}
        found = self._blobs.keys(f"{self._mirror}/{stage}.partial")
        self._blobs.delete([key for key in found if key not in kept])

    def resume(self, stage: str, partial: Outputs | None) -> Path:
        """The stage's folder with the files that an earlier attempt had; empty without all."""
        folder = self.begin(stage)
        if partial and not self.restore(stage, partial):
            folder = self.begin(stage)
        return folder

    def restore(self, stage: str, outputs: Outputs) -> bool:
        """Fetch the files of a finished stage; False where one is gone or is not what it was."""
        for path, output in outputs.items():
            target = self.root / stage / path
            try:
                self._blobs.fetch(output["key"], target)
            except FileNotFoundError:
                return False
            if self.sha256(target) != output["sha256"]:
                return False
        return True

    @contextmanager
    def temporary_folder(self) -> Iterator[None]:
        """Have this process make its temporary files here, where they go with the attempt.

        Of a process that is killed they would stay for ever elsewhere.
        """
        folder, before = self.root / "tmp", tempfile.tempdir
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before

    def leave(self) -> None:
        """Delete this attempt's folder; the mirror stays for the next attempt."""
        shutil.rmtree(self.root, ignore_errors=True)

    def clear(self) -> None:
        """Delete the folders and mirrors of every attempt."""
        shutil.rmtree(self._job_folder, ignore_errors=True)
        self._blobs.delete_all(self._stages)
