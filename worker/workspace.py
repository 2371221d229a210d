"""A job's intermediate files: a local folder, mirrored to blob storage stage by stage."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from app.blobs import Blobs


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

    def begin(self, stage: str) -> Path:
        """An empty folder for the stage."""
        folder = self.root / stage
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def save(self, stage: str) -> dict[str, Any]:
        """Mirror the stage's files; returns each one's key and sha256, for the checkpoint."""
        folder = self.root / stage
        outputs = {}
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            path = file.relative_to(folder).as_posix()
            key = f"{self._mirror}/{stage}/{path}"
            self._blobs.put(key, file)
            outputs[path] = {"key": key, "sha256": sha256(file)}
        return outputs

    def restore(self, stage: str, outputs: dict[str, Any]) -> bool:
        """Fetch the files of a finished stage; False where one is gone or is not what it was."""
        for path, output in outputs.items():
            target = self.root / stage / path
            try:
                self._blobs.fetch(output["key"], target)
            except FileNotFoundError:
                return False
            if sha256(target) != output["sha256"]:
                return False
        return True

    def leave(self) -> None:
        """Delete this attempt's folder; the mirror stays for the next attempt."""
        shutil.rmtree(self.root, ignore_errors=True)

    def clear(self) -> None:
        """Delete the folders and mirrors of every attempt."""
        shutil.rmtree(self._job_folder, ignore_errors=True)
        self._blobs.delete_all(self._stages)


def sha256(path: Path) -> str:
    """The hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
