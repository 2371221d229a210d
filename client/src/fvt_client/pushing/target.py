"""Describe what a target is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from ..verify import MANIFEST, Manifest, ManifestFile, read_manifest, sha256_of


@dataclass(frozen=True)
class Options:
    """Say how a result is handed on; `on_bytes` is called with the bytes that are there and all."""

    replace: bool = False
    public: bool = False
    on_bytes: Callable[[int, int], None] = lambda _have, _all: None


@dataclass(frozen=True)
class Pushed:
    """The place of a result that was handed on.

    `uri` is what the target's own library loads it by, `page` a link for people, None where there
    is none. `version` is the commit or the version of the model.
    """

    uri: str
    files: int
    version: str | None = None
    page: str | None = None


@dataclass(frozen=True)
class Result:
    """The folder of a result that is as its manifest says."""

    folder: Path

    @cached_property
    def manifest(self) -> Manifest:
        """Return the manifest."""
        return read_manifest(self.folder)

    @cached_property
    def files(self) -> list[ManifestFile]:
        """Return every file to send, the manifest itself last."""
        path = self.folder / MANIFEST
        own = ManifestFile(path=MANIFEST, bytes=path.stat().st_size, sha256=sha256_of(path))
        return [*self.manifest.files, own]

    @property
    def bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(file.bytes for file in self.files)


class Target(Protocol):
    """A place that takes results; `name` is for messages."""

    name: str

    def check(self) -> None:
        """Raise PushError where it is plain already that nothing can be sent."""

    def send(self, result: Result, options: Options) -> Pushed:
        """Send every file, and compare what arrived; raises PushError."""
        ...
