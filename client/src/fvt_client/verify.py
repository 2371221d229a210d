"""Compare a downloaded result with its manifest."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from ._errors import FvtError

MANIFEST = "manifest.json"
CHUNK = 1 << 20


class ManifestFile(BaseModel):
    """A file of the result, by its path in the result."""

    path: str
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """The part of `manifest.json` that says what the files are."""

    files: list[ManifestFile]


@dataclass(frozen=True)
class Verification:
    """The outcome: how many files are as they were, and what is not; `unlisted` is no fault."""

    files: int
    faults: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def verify(folder: Path) -> Verification:
    """Hash every file of a result and compare it with `manifest.json`; raises FvtError."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise FvtError(
            f"{folder} has no {MANIFEST}: give the folder of a result, as `fvt download` makes it."
        ) from error
    except (OSError, ValidationError) as error:
        raise FvtError(f"{folder / MANIFEST} cannot be read; download the result again.") from error
    faults = [fault for file in manifest.files if (fault := _fault(folder, file))]
    listed = {file.path for file in manifest.files} | {MANIFEST}
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return Verification(len(manifest.files) - len(faults), faults, sorted(here - listed))


def _fault(folder: Path, file: ManifestFile) -> str | None:
    path = folder / file.path
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        return f"{file.path} is missing"
    if (size := path.stat().st_size) != file.bytes:
        return f"{file.path} has {size:,} bytes in place of {file.bytes:,}"
    return None if sha256_of(path) == file.sha256 else f"{file.path} has other content"


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
