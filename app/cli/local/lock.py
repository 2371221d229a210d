"""One local service a data folder."""

import fcntl
import os
from pathlib import Path

from app.cli.local.errors import LocalServiceError


def lock(data_dir: Path) -> int:
    """Take the folder for this process and for those that inherit the descriptor.

    The kernel frees the lock once the last of them is gone.
    """
    descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        url = os.pread(descriptor, 200, 0).decode(errors="replace") or "still starting"
        os.close(descriptor)
        message = (
            f"{data_dir} is in use by another local service ({url}). Use that one, stop it, "
            "or choose another folder with --data-dir."
        )
        raise LocalServiceError(message) from error
    return descriptor


def sign(descriptor: int, url: str) -> None:
    """Say in the lock file where the service is."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, url.encode(), 0)
