"""Tell a folder of this machine from the id of a model, and give it such an id."""

import re
from dataclasses import dataclass
from pathlib import Path

import typer

SIGNS = ("config.json", "modules.json")
LONGEST_NAME = 96


@dataclass(frozen=True)
class ModelFolder:
    """A folder of this machine and the id that it has as a base model."""

    id: str
    path: Path

    def state(self) -> list[list[object]]:
        """Return the names, sizes and times of its files: others where the model was changed."""
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        stats = [(path, path.stat()) for path in files]
        return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


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
