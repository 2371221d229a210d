"""The folder of a model: loads as it is, and holds nothing of the base that is no longer true."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.model_kinds import MODULES
from worker.compression.errors import UnsupportedModelError
from worker.compression.models.config_files import has_unscaled_head, write_compatible_files

_SENTENCE_TRANSFORMERS_FILES = ("config_sentence_transformers.json", "sentence_*_config.json")
_CODE = shutil.ignore_patterns("*.py", "__pycache__")


def save_model(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    base_folder: Path | None = None,
) -> None:
    """Save weights (safetensors), tokenizer and configs into ``folder``.

    Transformers 4 and 5 read the configs alike; keys of the base's own files stand as they stood.
    Where ``base_folder`` is a sentence-transformers folder, its module list, the folders of its
    modules and their settings come along, and the model lies where its list says; the base's own
    weights, vocabulary files and README do not.

    Raises:
        UnsupportedModelError: ``modules.json`` names a folder outside of the base folder.

    """
    transformer = _transformer_folder(base_folder)
    folder, root = folder / transformer, folder
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    if has_unscaled_head(model):
        _write_own_head(folder / "model.safetensors", model)
    for weights in folder.glob("*.safetensors"):
        # safetensors writes for the owner alone; an artifact is read by others.
        weights.chmod((folder / "config.json").stat().st_mode)
    tokenizer.save_pretrained(folder)
    write_compatible_files(folder, model, tokenizer, base_folder and base_folder / transformer)
    if base_folder and (base_folder / MODULES).is_file():
        _carry_sentence_transformers(base_folder, root)


def _write_own_head(weights: Path, model: PreTrainedModel) -> None:
    """Add a head that is tied to the embeddings to the weights, where version 4 looks for it."""
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    name = next((name for name, module in model.named_modules() if module is head), None)
    tensors = load_file(weights)
    if name and f"{name}.weight" not in tensors:
        tensors[f"{name}.weight"] = head.weight.detach().cpu().clone()
        save_file(tensors, weights, {"format": "pt"})


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
