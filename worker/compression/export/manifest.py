"""manifest.json: what is in the artifact, and what it was made from and with."""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

_MANIFEST = "manifest.json"
_PACKAGES = ("fvt-service", "torch", "transformers", "tokenizers")


@dataclass(frozen=True)
class Provenance:
    """What the artifact was made from; ``base_commit`` is None where the model has none."""

    base_model: str
    base_commit: str | None
    corpus_sha256: str
    seed: int


def write_manifest(folder: Path, provenance: Provenance) -> Path:
    """Write sha256 and bytes of every other file under ``folder``, provenance and versions.

    It is written last: files that change afterwards no longer match.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST)
    content = {
        **asdict(provenance),
        "versions": {
            **{package: version(package) for package in _PACKAGES},
            "python": platform.python_version(),
        },
        "files": [
            {
                "path": path.relative_to(folder).as_posix(),
                "bytes": path.stat().st_size,
                "sha256": _sha256(path),
            }
            for path in files
        ],
    }
    manifest = folder / _MANIFEST
    manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
