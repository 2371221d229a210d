"""Read the documents of an uploaded file, whatever its format and compression."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from app.corpora.formats.compression import Limits, read_blocks
from app.corpora.formats.delimited import read_delimited
from app.corpora.formats.jsonl import Row, read_jsonl, read_records
from app.corpora.formats.jsonl import read_rows as rows_of
from app.corpora.formats.layout import (
    DEFAULT_TEXT_FIELD,
    Compression,
    Format,
    Layout,
)
from app.corpora.formats.parquet import read_parquet
from app.corpora.formats.text import read_text
from app.contract.errors import UserFault

__all__ = [
    "Compression",
    "Format",
    "Inspection",
    "Layout",
    "Row",
    "inspect",
    "read_documents",
    "read_rows",
]

ROW_FORMATS = ("records", "jsonl")


@dataclass(frozen=True)
class Inspection:
    """Say what a corpus file holds."""

    layout: Layout
    documents: int
    characters: int


def read_documents(file: BinaryIO, layout: Layout, limits: Limits | None = None) -> Iterator[str]:
    """Yield each document in turn; never more than a chunk of the file is held.

    In `text`, a document is a line that is not blank, in `records` a line with an object; elsewhere
    it is a row's text field.
    Raises `UserFault` where the file is not what the layout says.
    """
    _, documents = _open(file, layout, limits)
    return documents


def read_rows(file: BinaryIO, layout: Layout) -> Iterator[tuple[int, Row]]:
    """Yield each object of a file of one of `ROW_FORMATS`, with the number of its line."""
    return rows_of(read_blocks(file, layout.compression, None))


def inspect(file: BinaryIO, layout: Layout, limits: Limits) -> Inspection:
    """Read a whole corpus once, to refuse a bad one and to count a good one."""
    layout, documents = _open(file, layout, limits)
    count = characters = 0
    for document in documents:
        count += 1
        characters += len(document)
    return checked(Inspection(layout, count, characters))


def checked(inspection: Inspection) -> Inspection:
    """Refuse a corpus without a document."""
    if inspection.documents == 0:
        raise UserFault(
            "empty_corpus",
            "The corpus holds no document with text. Send a file with at least one.",
        )
    return inspection


def _open(file: BinaryIO, layout: Layout, limits: Limits | None) -> tuple[Layout, Iterator[str]]:
    field: str | None
    if layout.format == "parquet":
        field, documents = read_parquet(file, layout.text_field, limits)
    else:
        blocks = read_blocks(file, layout.compression, limits)
        if layout.format == "text":
            return layout, read_text(blocks)
        if layout.format == "records":
            return layout, read_records(blocks)
        if layout.format == "jsonl":
            field = layout.text_field or DEFAULT_TEXT_FIELD
            documents = read_jsonl(blocks, field)
        else:
            field, documents = read_delimited(blocks, layout.format, layout.text_field)
    return replace(layout, text_field=field), filter(str.strip, documents)
