"""Room on disks: how much is free, how much is needed, and whether an error came of a full one."""

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
SAID = re.compile(
    rf"os error (?:{'|'.join(map(str, FULL))})\b|No space left on device|Disk quota exceeded"
    r"|database or disk is full",
)
"""In the words of Rust's libraries, of Python's and of SQLite."""
POSTGRES_FULL = "53100"
ALMOST_NOTHING = 1 << 20
"""Bytes. Libraries that write in C++ say only that a write failed."""


def is_full(error: BaseException) -> bool:
    """Tell whether an error, or one that it came of, says that a disk is full."""
    return any(_says_full(cause) for cause in _causes(error))


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    if getattr(error, "sqlstate", None) == POSTGRES_FULL:
        return True
    return SAID.search(str(error)) is not None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = set[int]()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def free_bytes(folder: Path) -> int:
    """Return the bytes that may still be written where a folder is, or would be made."""
    return shutil.disk_usage(_existing(folder)).free


def is_nearly_full(folders: Iterable[Path]) -> bool:
    """Tell whether one of the folders takes nothing more."""
    return any(free_bytes(folder) < ALMOST_NOTHING for folder in folders)


def same_disk(one: Path, other: Path) -> bool:
    """Tell whether two folders share their free space."""
    return os.stat(_existing(one)).st_dev == os.stat(_existing(other)).st_dev  # noqa: PTH116


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
