"""Tie the lives of processes together (Linux): ``python lifetimes.py COMMAND…`` runs one that is.

This file needs nothing but the standard library and is run by its path, so that a process is tied
before its own imports begin, which take seconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

TIED = (sys.executable, "-I", "-S", __file__) if sys.platform == "linux" else ()
"""Begins a command that ends with the process that started it, even by SIGKILL."""


def end_with_parent() -> None:
    """Have the kernel (Linux) end this process with the one that started it, even by SIGKILL."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent (Linux) of all that is started from here and loses its own parent."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    end_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
