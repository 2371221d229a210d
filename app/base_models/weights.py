"""Read the weights of a model folder: safetensors, by their headers alone."""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

from app.base_models.files import (
    MAX_INDEX_BYTES,
    MIB,
    invalid_model,
    is_regular,
    open_regular,
    read_json,
)
from app.contract.errors import UserFault

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
# That of safetensors is 100 MB; a header of 100,000 tensors has 15.
MAX_HEADER_BYTES = 64 * MIB
MAX_DIMENSIONS = 16
BITS = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8},
    **{"F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16},
    **{"BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64},
}
"""Bits of a number of each dtype of safetensors."""


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
    if is_regular(folder / WEIGHTS):
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_symlink() and not (folder / INDEX).exists():
        raise invalid_model(f"{WEIGHTS} is not a regular file")
    named = read_json(folder / INDEX, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise invalid_model(f"{INDEX} has no `weight_map` of names of files")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name or not is_regular(folder / name):
            raise invalid_model(f"{INDEX} names {name[:200]!r}, which is not there")
    if not names:
        raise invalid_model(f"{INDEX} names no file")
    return [folder / name for name in names]


@dataclass(frozen=True)
class StoredTensor:
    """Describe a tensor as its safetensors header does."""

    name: str
    dtype: str
    shape: list[int]
    bytes: int
    file: Path | None = None
    start: int = 0
    """The place of its values in the file."""


def read_tensors(files: Iterable[Path]) -> list[StoredTensor]:
    """Return the tensors of a model; refuses files that end before their last tensor does."""
    return [tensor for file in files for tensor in _read_header(file)]


def check_shapes(tensors: Iterable[StoredTensor]) -> None:
    """Refuse tensors whose shapes are not of as many bytes as they have."""
    for tensor in tensors:
        if prod(tensor.shape) * BITS[tensor.dtype] != tensor.bytes * 8:
            raise invalid_model(
                f"the tensor {tensor.name[:200]!r} has {tensor.bytes} bytes, not those of its shape"
            )


def count_parameters(tensors: Iterable[StoredTensor]) -> int:
    """Count the numbers that training can change: those that are not integers."""
    return sum(prod(tensor.shape) for tensor in tensors if "F" in tensor.dtype)


def _read_header(path: Path) -> list[StoredTensor]:
    unreadable = invalid_model(f"{path.name} is not a safetensors file")
    with open_regular(path) as (file, file_bytes):
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < size <= min(MAX_HEADER_BYTES, file_bytes - 8):
            raise unreadable
        encoded = file.read(size)
    try:
        header = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise unreadable from error
    if not isinstance(header, dict):
        raise unreadable
    return list(_tensors_in(header, path, file_bytes - 8 - size, 8 + size))


def _tensors_in(
    header: dict[str, Any], path: Path, data_bytes: int, start: int
) -> Iterator[StoredTensor]:
    file = path.name
    places = list[tuple[int, int]]()
    for name, described in header.items():
        if name == "__metadata__":
            continue
        tensor = _tensor(name, described)
        if tensor is None:
            raise invalid_model(f"{file} is not a safetensors file: {name[:200]!r} is malformed")
        if described["data_offsets"][1] > data_bytes:
            raise invalid_model(f"{file} is cut off before its last tensor")
        places.append(tuple(described["data_offsets"]))
        yield replace(tensor, file=path, start=start + described["data_offsets"][0])
    # The library takes no file with bytes that are of no tensor, or of two.
    places.sort()
    ends = [0, *(end for _, end in places)]
    if [start for start, _ in places] != ends[:-1] or ends[-1] != data_bytes:
        raise invalid_model(f"{file} has bytes that are of no tensor, or of several")


def _tensor(name: str, described: Any) -> StoredTensor | None:
    """Return a tensor of a header; None if dtype, shape and offsets are not of one tensor."""
    if not isinstance(described, dict):
        return None
    dtype, shape = described.get("dtype"), described.get("shape")
    offsets = described.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        return None
    if not _are_sizes(shape, MAX_DIMENSIONS) or not _are_sizes(offsets, 2) or len(offsets) != 2:
        return None
    taken = offsets[1] - offsets[0]
    return StoredTensor(name, dtype, shape, taken) if taken >= 0 else None


def _are_sizes(value: Any, most: int) -> TypeGuard[list[int]]:
    """Return true for a list of at most so many integers, none negative or beyond 63 bits."""
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(size) is int and 0 <= size < 1 << 63 for size in value)
    )
