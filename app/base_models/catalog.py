"""Which base models this installation can compress, and where their files are.

Read by the front end (to list and to refuse early) and by the worker (to fetch).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.base_models import hub
from app.base_models.checks import ModelFacts, TrainingFacts, examine, training_facts
from app.base_models.folders import (
    ModelFolder,
    check_id,
    content_hash,
    find_folder,
    list_folders,
)
from app.base_models.hub import HubUnreachableError
from app.contract.errors import UserFault
from app.settings import Settings

__all__ = [
    "HubUnreachableError",
    "LocatedModel",
    "check_submission",
    "how_trained",
    "list_models",
    "locate",
]

Source = Literal["local", "packaged", "hub"]
DEFAULT_REVISION = "main"


@dataclass(frozen=True)
class LocatedModel:
    """A base model whose files lie in a local folder."""

    id: str
    source: Source
    path: Path
    commit: str | None
    """The hub's commit; for other sources the sha256 over the folder's weights and tokenizer."""


def check_submission(
    base_model: str, settings: Settings, revision: str | None = None
) -> ModelFacts | None:
    """Refuse what can be refused without a download; returns what is known of the model then.

    Raises `UserFault`: `invalid_model_id`, `base_model_not_found`, `remote_code_refused`,
    `unsafe_weights`, `unsupported_model`, `no_fast_tokenizer`, `invalid_model`,
    `model_too_large`, `revision_not_found`.
    """
    folder = _find(base_model, settings)
    if folder is None:
        return None
    facts = examine(folder.path, settings.max_model_bytes)
    if revision:
        _commit(folder, revision)
    return facts


def how_trained(base_model: str, settings: Settings) -> TrainingFacts | None:
    """How a model can be trained, or None where that shows only after a download."""
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
    """The models on this machine that can be compressed; those that cannot are passed over."""
    for folder in list_folders(settings):
        try:
            yield folder, examine(folder.path, settings.max_model_bytes)
        except UserFault:
            continue


def _find(base_model: str, settings: Settings) -> ModelFolder | None:
    """The model's folder, or None where it is to come from the hub."""
    check_id(base_model)
    folder = find_folder(base_model, settings)
    if folder is None and not settings.hub:
        raise UserFault(
            "base_model_not_found",
            f"There is no model {base_model!r} here, and the hub is off (FVT_HUB). "
            "`GET /v1/base-models` lists those there are.",
        )
    return folder


def _commit(folder: ModelFolder, revision: str | None) -> str:
    """What stands for a commit of a model that has no history."""
    commit = content_hash(folder.path)
    if revision not in {None, DEFAULT_REVISION, commit}:
        raise UserFault(
            "revision_not_found",
            f"The model {folder.id!r} lies on this machine and has no revision {revision!r}. "
            "Leave out `revision`.",
        )
    return commit
