"""Folders of models: files that are none, headers of weights, and what asks to run code."""

import os
import pickle
import struct
from functools import partial
from pathlib import Path
from typing import Any

from tests.hostile.case import Case, Wanted, Works, refused
from tests.hostile.models import config, file_of, model, tokenizer_settings
from tests.support.broken_files import HEADERS, INDEXES, KINDS, header_of, long_number
from tests.support.model_folders import write_json
from tests.support.sound_model import make_sound, shapes, write_tensors

WEIGHTS = "model.safetensors"
NAMES = ("config.json", "tokenizer.json", "tokenizer_config.json", WEIGHTS)
EXAMINED = refused("invalid_model", "no_fast_tokenizer", "unsupported_model")


def without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def instead(name: str, content: bytes) -> Any:
    """Put a file of another name in place of the weights."""

    def change(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / name).write_bytes(content)

    return change


def indexed(content: object) -> Any:
    def change(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        write_json(folder / f"{WEIGHTS}.index.json", content)

    return change


def large(name: str, size: int) -> Any:
    """Make a file large without writing it."""

    def change(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return change


def a_long_header(path: Path) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 40))
        file.truncate(1 << 30)


def an_endless_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 8 + b"{}")


def outside(folder: Path) -> None:
    """Link the folder of a model to one that is not in the service's models."""
    moved = folder.parents[2] / "outside"
    folder.rename(moved)
    folder.symlink_to(moved)


def in_parts(folder: Path) -> None:
    """Name the weights' file by an index of 20,000 tensors."""
    (folder / WEIGHTS).rename(folder / "model-1-of-1.safetensors")
    weight_map = {f"t{n}": "model-1-of-1.safetensors" for n in range(20_000)}
    write_json(folder / f"{WEIGHTS}.index.json", {"weight_map": weight_map})


def overlapping(path: Path) -> None:
    """Give all tensors the same bytes."""
    tensors = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0] * shape[1]]}
        for name, shape in shapes().items()
    }
    header_of(path, tensors)
    with path.open("r+b") as file:
        file.truncate(1 << 16)


def many_tensors(path: Path) -> None:
    write_tensors(path, {**shapes(), **{f"more.{n}": [1, 1] for n in range(20_000)}})


RUNS_CODE: dict[str, Any] = {
    "auto_map in config.json": config(auto_map={"AutoModel": "evil.Model"}),
    "auto_map deep in config.json": config(text_config={"x": [{"auto_map": {"AutoModel": "e.M"}}]}),
    "auto_map in tokenizer_config.json": tokenizer_settings(
        auto_map={"AutoTokenizer": ["e.T", None]}
    ),
    "auto_map of null": config(auto_map=None),
}
PICKLES = (
    "pytorch_model.bin",
    "model.pt",
    "model.pth",
    "model.ckpt",
    "model.pkl",
    "weights.pickle",
)
TYPES = (
    "nothing",
    "",
    5,
    None,
    ["bert"],
    "BERT",
    "bert\0",
    "../bert",
    "whisper",
    "llava",
    "b" * 5000,
)
MODELS: list[tuple[str, Any, Wanted]] = [
    ("no config.json", without("config.json"), refused("invalid_model")),
    ("no tokenizer.json", without("tokenizer.json"), refused("no_fast_tokenizer")),
    ("no weights", without(WEIGHTS), refused("invalid_model")),
    ("no tokenizer_config.json", without("tokenizer_config.json"), Works(202)),
    ("weights in a file of Flax", instead("flax_model.msgpack", b"x"), refused("invalid_model")),
    ("a header longer than the file", file_of(WEIGHTS, a_long_header), refused("invalid_model")),
    ("a header of 2**64 bytes", file_of(WEIGHTS, an_endless_header), refused("invalid_model")),
    ("weights cut off", large(WEIGHTS, 2000), refused("invalid_model")),
    ("weights of a gigabyte", large(WEIGHTS, 1 << 30), refused("model_too_large", "invalid_model")),
    ("a config of 20 MB", large("config.json", 20 << 20), refused("invalid_model")),
    ("a tokenizer of 300 MB", large("tokenizer.json", 300 << 20), refused("invalid_model")),
    ("tensors of the same bytes", file_of(WEIGHTS, overlapping), refused("invalid_model")),
    ("20,000 tensors more", file_of(WEIGHTS, many_tensors), Works(202)),
    ("weights in a part of an index", in_parts, Works(202)),
    ("a folder that is a link outside", outside, refused("base_model_not_found")),
    (
        "files of mode 0",
        lambda folder: (folder / "config.json").chmod(0),
        Works(202) if os.geteuid() == 0 else refused("invalid_model"),
    ),
    ("a folder inside the folder", lambda folder: make_sound(folder / "deeper"), Works(202)),
]
CASES: list[Case] = [
    *(model(f"model: {name}", change, wanted) for name, change, wanted in MODELS),
    *(
        model(f"model: {name} is {kind.__name__}", file_of(name, kind), EXAMINED)
        for name in NAMES
        for kind in (*KINDS, long_number)
    ),
    *(
        model(
            f"model: header {number}, {str(header)[:40]}",
            file_of(WEIGHTS, partial(header_of, header=header)),
            refused("invalid_model"),
        )
        for number, header in enumerate(HEADERS)
    ),
    *(
        model(
            f"model: index {number}, {str(content)[:40]}",
            indexed(content),
            refused("invalid_model"),
        )
        for number, content in enumerate(INDEXES)
    ),
    *(
        model(
            f"model: weights in {name}", instead(name, pickle.dumps([1])), refused("unsafe_weights")
        )
        for name in PICKLES
    ),
    *(
        model(f"model: {name}", change, refused("remote_code_refused"))
        for name, change in RUNS_CODE.items()
    ),
    *(
        model(
            f"model: type {number}, {str(type_)[:20]!r}",
            config(model_type=type_),
            refused("unsupported_model"),
        )
        for number, type_ in enumerate(TYPES)
    ),
]
