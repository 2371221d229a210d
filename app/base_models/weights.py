"""The weights of a model folder: safetensors, read by their headers alone."""

import json
import struct
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

from app.failures import UserFault

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
MAX_HEADER_BYTES = 100 << 20


def check_weight_names(names: Iterable[str]) -> None:
    """Refuse a model without safetensors; pickled weights can run code when they are read."""
    names = set(names)
    if names & {WEIGHTS, INDEX}:
        return
    if pickled := sorted(name for name in names if name.endswith(PICKLE_SUFFIXES)):
        raise UserFault(
            "unsafe_weights",
            f"The model has only pickled weights ({', '.join(pickled[:3])}), which can run code "
            "when they are read. Convert it to safetensors: load it in transformers and call "
            "`save_pretrained`.",
        )
    raise invalid_model(f"it has neither {WEIGHTS} nor {INDEX}")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, one or several."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    names = sorted(set(map(str, read_json(folder / INDEX).get("weight_map", {}).values())))
    files = [folder / name for name in names]
    for name, file in zip(names, files, strict=True):
        if Path(name).name != name or not file.is_file():
            raise invalid_model(f"{INDEX} names {name!r}, which is not there")
    if not files:
        raise invalid_model(f"{INDEX} names no file")
    return files


def count_parameters(files: Iterable[Path]) -> int:
    """The numbers that training can change: those that are not integers."""
    return sum(
        prod(tensor["shape"])
        for file in files
        for name, tensor in _header(file).items()
        if name != "__metadata__" and "F" in tensor["dtype"]
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the model."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise invalid_model(f"{path.name} cannot be read") from error
    if not isinstance(content, dict):
        raise invalid_model(f"{path.name} is not a JSON object")
    return content


def invalid_model(why: str) -> UserFault:
    """The fault of a folder that is no whole model."""
    return UserFault(
        "invalid_model",
        f"The base model cannot be used: {why}. Save it again with `save_pretrained`, or choose "
        "another.",
    )


def _header(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header: dict[str, dict[str, Any]] = json.loads(file.read(min(size, MAX_HEADER_BYTES)))
            return header
    except (OSError, ValueError, struct.error) as error:
        raise invalid_model(f"{path.name} is not a safetensors file") from error
