"""Take a folder of this machine as the base model of a service that is started for it.

No service reads a path that a client names. So the folder is shown to the local service as a model
of its own models folder, under a name that is the id of a model.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

DEPTH = 2
"""Folders of a sentence-transformers model hold files of its modules; deeper ones none."""
SIGNS = ("config.json", "modules.json")
LONGEST_NAME = 96


@dataclass(frozen=True)
class ModelFolder:
    """A folder of this machine and the id that it has as a base model."""

    id: str
    path: Path


def model_folder(model: str, url: str | None) -> ModelFolder | None:
    """Return the folder that `--model` names; None where it names a model by its id.

    Raises `typer.BadParameter` for a path that holds no model, and for one beside a `url`.
    """
    path = Path(model).expanduser()
    looks_like_path = model.startswith((".", "/", "~")) or "\\" in model or model.endswith("/")
    if not looks_like_path and (url or not _is_folder(path)):
        return None
    if url:
        raise _bad(
            f"{model} is a path on this machine, and a service takes models by their names alone. "
            f"Have the folder put into the FVT_MODELS_DIR of {url} and give its name there, or "
            "leave out --url (and FVT_URL) to compress it on this machine."
        )
    if path.is_file():
        raise _bad(f"{model} is a file: give the folder that it is in, {path.parent}.")
    if not _is_folder(path):
        raise _bad(f"There is no folder {model}: give one that `save_pretrained` wrote, or an id.")
    if not any((path / name).exists() for name in SIGNS):
        raise _bad(
            f"{model} holds no model: it has no config.json. Save it with `save_pretrained`."
        )
    return ModelFolder(safe_name(path.resolve().name), path.resolve())


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _bad(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--model")


def safe_name(name: str) -> str:
    """Return the id of a model that is as much like the name of a folder as it may be."""
    plain = re.sub(r"[^A-Za-z0-9._]+|-{2,}", "-", name)
    plain = re.sub(r"[.]{2,}", ".", plain)[:LONGEST_NAME].strip("-.")
    plain = re.sub(r"(\.git|\.ipynb)+$", "", plain).strip("-.")
    return plain or "model"


@contextmanager
def served(model: ModelFolder, data_dir: Path) -> Iterator[Path]:
    """Make a models folder that shows the model's files by links while the block runs."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="models-", dir=data_dir) as made:
        models_dir = Path(made)
        _link_files(model.path, models_dir / model.id, DEPTH)
        yield models_dir


def _link_files(source: Path, target: Path, depth: int) -> None:
    """Link each file of a folder; a pipe or another thing that is no file is left out."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (target / path.name).symlink_to(path.resolve())
        elif depth > 1 and path.is_dir() and not path.name.startswith("."):
            _link_files(path, target / path.name, depth - 1)
