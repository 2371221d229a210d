"""Read the files of a model folder: regular ones alone, and never more than a limit.

The folder is a stranger's: a name in it may be a pipe that nobody writes to, a link that leads
nowhere or round in a circle, a folder, or a file of any size.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from app.contract.errors import UserFault

MIB = 1 << 20
MAX_CONFIG_BYTES = 16 * MIB
MAX_TOKENIZER_BYTES = 256 * MIB
MAX_INDEX_BYTES = 64 * MIB


def invalid_model(why: str) -> UserFault:
    """Make the fault of a folder that is no whole model."""
    return UserFault(
        "invalid_model",
        f"The base model cannot be used: {why}. Save it again with `save_pretrained`, or choose "
        "another.",
    )


@contextmanager
def open_regular(path: Path) -> Iterator[tuple[BufferedReader, int]]:
    """Open a file of the model; gives it and its size in bytes.

    Never waits, as opening a pipe would. Raises `UserFault`: `invalid_model`, for what is no
    regular file or cannot be read, within the block too.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise invalid_model(f"{path.name} is not a regular file")
            yield file, found.st_size
    except OSError as error:
        raise invalid_model(f"{path.name} cannot be read ({_why(error)})") from error


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file; raises `UserFault` if it has more bytes than `most`."""
    with open_regular(path) as (file, size):
        content = file.read(min(size, most) + 1)
    if len(content) > most:
        raise invalid_model(f"{path.name} has more than {most:,} bytes")
    return content


def read_any_json(path: Path, most: int = MAX_CONFIG_BYTES) -> Any:
    """Return the JSON in a file of the model; raises `UserFault` as `read_bytes` does."""
    content = read_bytes(path, most)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise invalid_model(f"{path.name} cannot be read as JSON") from error


def read_json(path: Path, most: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """Return the JSON object in a file of the model; raises `UserFault` as `read_bytes` does."""
    document = read_any_json(path, most)
    if not isinstance(document, dict):
        raise invalid_model(f"{path.name} is not a JSON object")
    return document


def names_in(folder: Path) -> set[str]:
    """Return the names in a folder that may be files, links that lead nowhere among them."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_symlink() or not entry.is_dir()}
    except OSError as error:
        raise invalid_model(f"its folder cannot be read ({_why(error)})") from error


def is_there(path: Path) -> bool:
    """Return true if there is anything of this name, be it a link that leads nowhere."""
    return os.path.lexists(path)


def is_regular(path: Path) -> bool:
    """Return true for a regular file, links followed; false too where it cannot be told."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return true for a folder, links followed; false too where it cannot be told."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
