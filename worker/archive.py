"""The result as one `.tar.gz`, the same bytes for the same files."""

import gzip
import tarfile
from collections.abc import Iterable
from pathlib import Path


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
