"""Write the files that say what an artifact is: report, model card, vocabulary and manifest."""

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from app.contract.names import RUNTIMES
from app.contract.report import Report, TokenReason
from app.contract.verdict import steps_done
from worker.compression.models.folders import kind_of_folder
from worker.compression.report.page import render, render_page, task_scores
from worker.compression.transfer.partition import Partition


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` and ``report.html``, a page that needs no other file."""
    content = json.dumps(report.model_dump(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(content + "\n", encoding="utf-8")
    (folder / "report.html").write_text(render_page(report), encoding="utf-8")


def write_model_card(folder: Path, report: Report) -> Path:
    """Write the card of the model in ``folder``, with front matter for a model hub."""
    kind = kind_of_folder(folder)
    path = folder / "README.md"
    card = render(
        "README.md",
        report=report,
        library=kind.library,
        kind=kind,
        usages=_usages(report),
        task_scores=task_scores(report),
        steps_done=steps_done(report.recovery),
    )
    path.write_text(card, encoding="utf-8")
    return path


def _usages(report: Report) -> dict[str, str]:
    """Return the file that each section on how to run one names: the last that it is for."""
    usages = ((RUNTIMES[export.runtime].usage, export.path) for export in report.exports)
    return {usage: path for usage, path in usages if usage}


VOCABULARY = "vocabulary.jsonl"
_MANIFEST = "manifest.json"
_PACKAGES = ("fvt-service", "torch", "transformers", "tokenizers")


@dataclass(frozen=True)
class Provenance:
    """Names the origin of an artifact; ``base_commit`` is None where the model has none."""

    base_model: str
    base_commit: str | None
    corpus_sha256: str
    seed: int


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(
    folder: Path, provenance: Provenance, sha256: Callable[[Path], str] = file_sha256
) -> Path:
    """Write sha256 and bytes of every other file under ``folder``, provenance and versions.

    ``sha256`` may know digests that were computed before.

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
                "sha256": sha256(path),
            }
            for path in files
        ],
    }
    manifest = folder / _MANIFEST
    manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return manifest


def write_vocabulary(
    folder: Path, partitions: Sequence[Partition], reasons: Sequence[TokenReason] = ()
) -> Path:
    """Write a line a token, in the order of ids: id, token, source, pieces and base_ids.

    ``reasons``, one a token, add why it stands and how often it is expected to be used.
    """
    path = folder / VOCABULARY
    with path.open("w", encoding="utf-8") as file:
        for partition in partitions:
            line: dict[str, object] = {
                "id": partition.id,
                "token": partition.token,
                "source": partition.source,
                "pieces": partition.pieces,
                "base_ids": partition.base_ids,
            }
            if reasons:
                line |= reasons[partition.id].model_dump()
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path
