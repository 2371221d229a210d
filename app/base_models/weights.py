"""Read the weights of a model folder: safetensors, by their headers alone."""

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from app.contract.errors import UserFault

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
    """Return the safetensors files of a model, one or several."""
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


@dataclass(frozen=True)
class StoredTensor:
    """Describe a tensor as its safetensors header does."""

    dtype: str
    shape: list[int]
    bytes: int


def read_tensors(files: Iterable[Path]) -> list[StoredTensor]:
    """Return the tensors of a model; refuses files that end before their last tensor does."""
    return [tensor for file in files for tensor in _read_header(file)]


def count_parameters(tensors: Iterable[StoredTensor]) -> int:
    """Count the numbers that training can change: those that are not integers."""
    return sum(prod(tensor.shape) for tensor in tensors if "F" in tensor.dtype)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of the model."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise invalid_model(f"{path.name} cannot be read") from error
    if not isinstance(content, dict):
        raise invalid_model(f"{path.name} is not a JSON object")
    return content


def invalid_model(why: str) -> UserFault:
    """Make the fault of a folder that is no whole model."""
    return UserFault(
        "invalid_model",
        f"The base model cannot be used: {why}. Save it again with `save_pretrained`, or choose "
        "another.",
    )


def _read_header(path: Path) -> list[StoredTensor]:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, MAX_HEADER_BYTES)))
        described = [tensor for name, tensor in header.items() if name != "__metadata__"]
        ends = [tensor["data_offsets"][1] for tensor in described]
        tensors = [
            StoredTensor(t["dtype"], list(t["shape"]), t["data_offsets"][1] - t["data_offsets"][0])
            for t in described
        ]
    except (OSError, ValueError, TypeError, LookupError, AttributeError, struct.error) as error:
        raise invalid_model(f"{path.name} is not a safetensors file") from error
    if path.stat().st_size < 8 + size + max(ends, default=0):
        raise invalid_model(f"{path.name} is cut off before its last tensor")
    return tensors
