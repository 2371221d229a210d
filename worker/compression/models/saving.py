"""The folder of a model: loads as it is, and holds nothing of the base that is no longer true."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.model_kinds import MODULES
from worker.compression.errors import UnsupportedModelError

_SENTENCE_TRANSFORMERS_FILES = ("config_sentence_transformers.json", "sentence_*_config.json")
_LOADING_ONLY = ("is_local", "local_files_only")
_CODE = shutil.ignore_patterns("*.py", "__pycache__")


def save_model(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    base_folder: Path | None = None,
) -> None:
    """Save weights (safetensors), tokenizer and configs into ``folder``.

    Where ``base_folder`` is a sentence-transformers folder, its module list, the folders of its
    modules and their settings come along, and the model lies where its list says; the base's own
    weights, vocabulary files and README do not.

    Raises:
        UnsupportedModelError: ``modules.json`` names a folder outside of the base folder.

    """
    folder, root = folder / _transformer_folder(base_folder), folder
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        # safetensors writes for the owner alone; an artifact is read by others.
        weights.chmod((folder / "config.json").stat().st_mode)
    tokenizer.save_pretrained(folder)
    _forget_loading(folder / "tokenizer_config.json")
    if base_folder and (base_folder / MODULES).is_file():
        _carry_sentence_transformers(base_folder, root)


def _forget_loading(tokenizer_config: Path) -> None:
    """Drop how the base tokenizer happened to be loaded, which transformers saves as well."""
    content = json.loads(tokenizer_config.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in _LOADING_ONLY}
    text = json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False)
    tokenizer_config.write_text(text + "\n", encoding="utf-8")


def _transformer_folder(base_folder: Path | None) -> str:
    """Return the path of the first module, in which sentence-transformers has the model."""
    modules = base_folder / MODULES if base_folder else None
    if modules is None or not modules.is_file():
        return ""
    return next((path for path in _module_paths(modules)), "")


def _carry_sentence_transformers(base_folder: Path, folder: Path) -> None:
    shutil.copyfile(base_folder / MODULES, folder / MODULES)
    for pattern in _SENTENCE_TRANSFORMERS_FILES:
        for file in base_folder.glob(pattern):
            shutil.copyfile(file, folder / file.name)
    model_path, *paths = [*_module_paths(base_folder / MODULES), ""]
    for pattern in _SENTENCE_TRANSFORMERS_FILES if model_path else ():
        for file in (base_folder / model_path).glob(pattern):
            shutil.copyfile(file, folder / model_path / file.name)
    for path in paths:
        if path and (base_folder / path).is_dir():
            shutil.copytree(base_folder / path, folder / path, ignore=_CODE, dirs_exist_ok=True)


def _module_paths(modules: Path) -> Iterator[str]:
    """Yield the paths of the modules in their order, "" for the model's own folder."""
    for module in json.loads(modules.read_text(encoding="utf-8")):
        path = PurePosixPath(module["path"])
        if path.is_absolute() or ".." in path.parts:
            raise UnsupportedModelError(
                f"modules.json names {path}, a folder outside of the model: correct it."
            )
        yield str(path) if path.parts else ""
