"""Read CSV and TSV with a header row: a document is the text column of a row."""

import csv
from collections.abc import Iterable, Iterator
from typing import Literal

from app.corpora.formats.layout import choose_text_field
from app.corpora.formats.text import MAX_LINE_BYTES, read_lines
from app.contract.errors import UserFault

DELIMITERS = {"csv": ",", "tsv": "\t"}

csv.field_size_limit(MAX_LINE_BYTES)


def read_delimited(
    blocks: Iterable[bytes], kind: Literal["csv", "tsv"], text_field: str | None
) -> tuple[str, Iterator[str]]:
    """Return the column that is read, and its values."""
    rows = _rows(read_lines(blocks), kind)
    _, header = next(rows, (0, []))
    column = choose_text_field(header, text_field) if header else text_field or ""
    return column, _values(rows, header, column)


def _values(rows: Iterator[tuple[int, list[str]]], header: list[str], column: str) -> Iterator[str]:
    for line, row in rows:
        if len(row) != len(header):
            raise _invalid(
                f"the row that ends on line {line} has {len(row)} fields, the header {len(header)}"
            )
        yield row[header.index(column)]


def _rows(lines: Iterator[str], kind: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=DELIMITERS[kind], strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise _invalid(f"line {reader.line_num}: {error}") from error


def _invalid(reason: str) -> UserFault:
    return UserFault(
        "invalid_csv",
        f"The table is malformed: {reason}. Quote fields that hold the delimiter, a quote or a "
        "line break, and double the quotes within them.",
    )
