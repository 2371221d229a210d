"""Read the documents of an uploaded file, whatever its format and compression."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import BinaryIO

from app.contract.corpora import Compression, Format, Quoting
from app.contract.errors import UserFault
from app.corpora.formats.compression import Limits, read_blocks
from app.corpora.formats.delimited import Shape, find_delimiter, find_quoting, read_delimited
from app.corpora.formats.jsonl import (
    Row,
    find_text_field,
    is_json_lines,
    read_json_texts,
    read_records,
)
from app.corpora.formats.jsonl import (
    read_rows as rows_of,
)
from app.corpora.formats.layout import Layout
from app.corpora.formats.parquet import read_parquet
from app.corpora.formats.skipped import Skipped
from app.corpora.formats.text import encoding_of, read_lines, read_text

__all__ = [
    "Compression",
    "Format",
    "Inspection",
    "Layout",
    "Quoting",
    "Row",
    "inspect",
    "read_documents",
    "read_rows",
]

ROW_FORMATS = ("records", "jsonl", "json")
PREVIEWED = 3
PREVIEW_CHARACTERS = 200


@dataclass(frozen=True)
class Inspection:
    """Say what a corpus file holds, and how it was read."""

    layout: Layout
    documents: int
    characters: int
    encoding: str | None = None
    """None of Parquet, which is no text."""
    skipped: int = 0
    skipped_lines: list[int] = field(default_factory=list)
    """The first ones: numbers of lines, of rows in Parquet, of entries in a JSON array."""
    preview: list[str] = field(default_factory=list)


def read_documents(file: BinaryIO, layout: Layout, limits: Limits | None = None) -> Iterator[str]:
    """Yield each document in turn; never more than a chunk of the file is held.

    In `text`, a document is a line that is not blank, in `records` an object; elsewhere it is a
    row's text field, and rows without text are passed over. Raises `UserFault` where the file is
    not what the layout says.
    """
    if layout.format in {"csv", "tsv"} and not (layout.delimiter and layout.quoting):
        layout = _inspect_table(file, layout, limits).layout
    return _open(file, _completed(file, layout), limits, Skipped())[1]


def read_rows(file: BinaryIO, layout: Layout) -> Iterator[tuple[int, Row]]:
    """Yield each object of a file of one of `ROW_FORMATS`, with its number."""
    return rows_of(read_blocks(file, layout.compression, None))


def inspect(file: BinaryIO, layout: Layout, limits: Limits) -> Inspection:
    """Read a whole corpus, to refuse a bad one and to describe a good one."""
    if layout.format in {"csv", "tsv"} and not (layout.delimiter and layout.quoting):
        return checked(_inspect_table(file, layout, limits))
    return checked(_measure(file, _completed(file, layout), limits))


def checked(inspection: Inspection) -> Inspection:
    """Refuse a corpus without a document."""
    if inspection.documents == 0:
        raise UserFault(
            "empty_corpus",
            "The corpus holds no document with text. Send a file with at least one.",
        )
    return inspection


def preview_of_text(head: bytes) -> list[str]:
    """Return the first documents of plain text, cut short, by the first bytes of the file."""
    try:
        return [shortened(line) for line in islice(read_text([head]), PREVIEWED)]
    except UserFault:  # the first line is longer than the head, and cut within a character
        return [shortened(head[: 2 * PREVIEW_CHARACTERS].decode("utf-8", "ignore").lstrip())]


def shortened(document: str) -> str:
    """Cut a document short; a NUL, which not every database takes, is shown as U+FFFD."""
    shown = document[:PREVIEW_CHARACTERS].replace("\0", "\ufffd")
    return shown + "…" if len(document) > PREVIEW_CHARACTERS else shown


def _completed(file: BinaryIO, layout: Layout) -> Layout:
    """Find out of JSON what its layout leaves open."""
    if layout.format not in {"jsonl", "json"}:
        return layout
    is_lines = is_json_lines(_blocks(file, layout, None))
    layout = replace(layout, format="jsonl" if is_lines else "json")
    if layout.text_field is None:
        layout = replace(layout, text_field=find_text_field(_blocks(file, layout, None)))
    return layout


def _inspect_table(file: BinaryIO, layout: Layout, limits: Limits | None) -> Inspection:
    """Find the delimiter and the quoting of a table, and what it holds when read so."""

    def lines() -> Iterator[str]:
        return read_lines(_blocks(file, layout, limits))

    def measure(layout: Layout, shape: Shape) -> Inspection:
        return _measure(file, layout, limits, shape)

    if layout.delimiter is None:
        layout = replace(layout, delimiter=find_delimiter(lines(), layout))
    return find_quoting(lines, layout, measure)


def _measure(
    file: BinaryIO, layout: Layout, limits: Limits | None, shape: Shape | None = None
) -> Inspection:
    skipped = Skipped()
    layout, documents = _open(file, layout, limits, skipped, shape)
    count = characters = 0
    preview = []
    for document in documents:
        if count < PREVIEWED:
            preview.append(shortened(document))
        count += 1
        characters += len(document)
    if limits:
        skipped.check(count, layout.text_field, limits.max_skipped_share)
    encoding = None
    if layout.format != "parquet":
        encoding = encoding_of(_blocks(file, layout, None))
    return Inspection(layout, count, characters, encoding, skipped.count, skipped.first, preview)


def _open(
    file: BinaryIO,
    layout: Layout,
    limits: Limits | None,
    skipped: Skipped,
    shape: Shape | None = None,
) -> tuple[Layout, Iterator[str]]:
    name: str | None
    if layout.format == "parquet":
        file.seek(0)
        name, documents = read_parquet(file, layout.text_field, limits, skipped)
        return replace(layout, text_field=name), documents
    blocks = _blocks(file, layout, limits)
    if layout.format == "text":
        return layout, read_text(blocks)
    if layout.format == "records":
        return layout, read_records(blocks)
    if layout.format in {"jsonl", "json"}:
        return layout, read_json_texts(blocks, layout.text_field, skipped)
    name, documents = read_delimited(read_lines(blocks), layout, skipped, shape)
    return replace(layout, text_field=name), documents


def _blocks(file: BinaryIO, layout: Layout, limits: Limits | None) -> Iterator[bytes]:
    file.seek(0)
    return read_blocks(file, layout.compression, limits)
