"""Ways in which a file of a model's folder can be broken, whatever it should hold."""

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone")


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_list(path: Path) -> None:
    path.write_text("[1, 2]")


def not_utf8(path: Path) -> None:
    path.write_bytes(b"\xff\xfe{}")


def deep(path: Path) -> None:
    path.write_text('{"a":' * 900 + "1" + "}" * 900)


def long_number(path: Path) -> None:
    path.write_text('{"a": ' + "9" * 5000 + "}")


KINDS = (pipe, a_socket, a_folder, a_loop, dangling, a_device, empty, a_list, not_utf8)


def header_of(path: Path, header: object) -> None:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + bytes(64))


def tensor(**parts: object) -> dict[str, object]:
    return {"w": {"dtype": "F32", "shape": [4, 1], "data_offsets": [0, 16], **parts}}


HEADERS: list[Any] = [
    b"not json",
    [1],
    {"w": 5},
    {"w": None},
    tensor(shape=["4", "1"]),
    tensor(shape="41"),
    tensor(shape=[-4, -1]),
    tensor(shape=[4.0, 1]),
    tensor(shape=[True, 4]),
    tensor(shape=[10**30, 1]),
    tensor(shape=[1 << 40, 1 << 40]),
    tensor(shape=[1] * 100_000),
    tensor(shape=None),
    tensor(dtype="F99"),
    tensor(dtype=["F32"]),
    tensor(dtype=None),
    tensor(data_offsets=[16, 0]),
    tensor(data_offsets=[0]),
    tensor(data_offsets=["0", "16"]),
    tensor(data_offsets=[0, 1 << 62]),
    tensor(data_offsets=[-16, 0]),
    tensor(data_offsets={"0": 0, "1": 16}),
    {"__metadata__": 5},
]
"""Headers of safetensors that are none, or whose tensors cannot be."""

INDEXES: list[Any] = [
    [],
    {"weight_map": [1]},
    {"weight_map": {"w": 5}},
    {"weight_map": {}},
    {"weight_map": {"w": "/etc/passwd"}},
    {"weight_map": {"w": "a\0b"}},
    {"weight_map": {"w": "x" * 5000}},
]
"""Indexes of weights that name none."""
