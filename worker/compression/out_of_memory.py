"""Out of memory: a fault of what was asked, where smaller steps would do."""

from collections.abc import Iterator
from contextlib import contextmanager

from worker.compression.errors import OutOfMemoryError

_SAID = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""By the GPU's allocator or its driver, by that of the CPU, by cuBLAS and its like."""


@contextmanager
def within_memory(what: str, remedy: str) -> Iterator[None]:
    """Say what to give instead where what is done within does not fit in memory.

    Raises:
        OutOfMemoryError: it does not.

    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_of_memory(error):
            raise
        raise OutOfMemoryError(f"{what} does not fit in memory: give {remedy}.") from error


def _is_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(said in str(error) for said in _SAID)
