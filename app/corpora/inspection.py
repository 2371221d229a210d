"""Inspect an upload: a small one here, all others in a process apart."""

from contextlib import closing

from app.blobs import Blobs
from app.contract.errors import UserFault
from app.corpora.documents import Inspection, inspect
from app.corpora.formats.compression import Limits
from app.corpora.formats.layout import Layout
from app.subprocesses import OutOfMemoryError, Subprocesses

SMALL_BYTES = 1 << 18
"""An upload up to this size, whose parsing takes milliseconds, needs no process of its own."""
MEMORY_BYTES = 1 << 30


def inspect_upload(  # noqa: PLR0913, PLR0917
    subprocesses: Subprocesses, blobs: Blobs, key: str, size: int, layout: Layout, limits: Limits
) -> Inspection:
    """Read a stored corpus of `size` bytes; raises `UserFault`."""
    # A small archive may be a large corpus, and a few bytes of Parquet may break Arrow down.
    is_small = size <= SMALL_BYTES and layout.compression is None and layout.format != "parquet"
    if is_small or blobs.url.startswith("memory:"):
        return _inspect(blobs.url, key, layout, limits, blobs)
    try:
        return subprocesses.run(MEMORY_BYTES, _inspect, blobs.url, key, layout, limits)
    except OutOfMemoryError as error:
        raise UserFault(
            "corpus_needs_memory",
            f"A row or a page of the corpus takes more than {MEMORY_BYTES >> 20} MiB of memory to "
            "be read. Cut long rows, write Parquet in smaller row groups, or send plain text.",
        ) from error


def _inspect(
    url: str, key: str, layout: Layout, limits: Limits, blobs: Blobs | None = None
) -> Inspection:
    with closing((blobs or Blobs(url)).reader(key)) as file:
        return inspect(file, layout, limits)
