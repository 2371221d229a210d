"""Documents out of an uploaded file: text, JSONL, CSV/TSV, Parquet, plain, gzip or zstd."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

Format = Literal["text", "jsonl", "csv", "tsv", "parquet"]
Compression = Literal["gzip", "zstd"]


@dataclass(frozen=True)
class Layout:
    """How to read a corpus file."""

    format: Format
    compression: Compression | None = None
    text_field: str | None = None


def read_documents(file: BinaryIO, layout: Layout) -> Iterator[str]:
    """Each document in turn; never more than a chunk of the file is held.

    In `text`, a document is a line that is not blank; elsewhere it is a row's text field.
    Raises `UserFault` where the file is not what the layout says.
    """
    raise NotImplementedError
