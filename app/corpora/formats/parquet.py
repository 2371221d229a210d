"""Read Parquet: a document is the text column of a row, read a batch at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from app.contract.errors import UserFault
from app.corpora.formats.compression import BLOCK, CountingFile, Limits
from app.corpora.formats.layout import (
    DEFAULT_TEXT_FIELD,
    check_name,
    choose_text_field,
)
from app.corpora.formats.skipped import Skipped

BATCH_ROWS = 16
"""Few: a dictionary may unfold a few bytes into a long text in each row."""

STRINGS = (types.is_string, types.is_large_string, types.is_string_view)
BINARY = (types.is_binary, types.is_large_binary, types.is_binary_view)


def read_parquet(
    file: BinaryIO, text_field: str | None, limits: Limits | None, skipped: Skipped
) -> tuple[str, Iterator[str]]:
    """Return the column that is read, and its values.

    The column holds strings, or bytes that are UTF-8. Raises `UserFault`.
    """
    source = CountingFile(file)
    with _refusing(source):
        table = pq.ParquetFile(source, buffer_size=BLOCK)
        names, kinds = table.schema_arrow.names, table.schema_arrow.types
    if text_field is None and DEFAULT_TEXT_FIELD not in names:
        strings = [n for n, kind in zip(names, kinds, strict=True) if _is_text(kind)]
        text_field = strings[0] if len(strings) == 1 else None
    place = choose_text_field(names, text_field, "The file")
    column = names[place]
    check_name(column)
    if not _is_text(kinds[place]):
        raise UserFault(
            "text_field_not_string",
            f"The column {column!r} is not of strings but of {str(kinds[place])[:200]}. Name a "
            "column of strings as `text_field`.",
        )
    if limits:
        with _refusing(source):
            _check_size(table.metadata, source.seek(0, SEEK_END), limits)
    return column, _values(table, column, source, limits, skipped)


def _values(
    table: Any, column: str, source: CountingFile, limits: Limits | None, skipped: Skipped
) -> Iterator[str]:
    unfolded = number = 0
    batches = table.iter_batches(BATCH_ROWS, columns=[column], use_threads=False)
    while True:
        with _refusing(source):
            batch = next(batches, None)
            if batch is None:
                return
            # A nested column may go by the same path, as `a.b`.
            values = batch.column(batch.schema.get_field_index(column))
        with _refusing_other_text():
            texts = values.to_pylist()
            texts = [text.decode() if isinstance(text, bytes) else text for text in texts]
        for text in texts:
            number += 1
            if text is None or not text or text.isspace():
                skipped.add(number, "null" if text is None else "blank")
                continue
            unfolded += len(text)
            if limits:
                limits.check(unfolded, source.bytes_read)
            yield text


def _is_text(kind: Any) -> bool:
    """Tell strings, bytes and columns without a value from all else, in whatever wrapping."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return types.is_null(kind) or any(is_kind(kind) for is_kind in STRINGS + BINARY)


def _check_size(metadata: Any, file_bytes: int, limits: Limits) -> None:
    # What the footer says of a single column is not asked for: where that is damaged, Arrow 26
    # ends the whole process, since no exception may leave the call.
    for index in range(metadata.num_row_groups):
        limits.check(metadata.row_group(index).total_byte_size, file_bytes)


@contextmanager
def _refusing_other_text() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserFault("not_utf8", f"The text column is not UTF-8: {error}.") from error


@contextmanager
def _refusing(source: CountingFile) -> Iterator[None]:
    """Tell faults of the file, by whatever exception Arrow reports them, from the storage's."""
    try:
        yield
    except (UserFault, MemoryError):
        raise
    except Exception as error:
        if source.failure:
            raise source.failure from error
        reason = str(error)[:300]
        if "ncrypt" in reason or "decrypt" in reason:
            raise UserFault(
                "invalid_parquet",
                f"The Parquet file is encrypted: {reason}. Write it without encryption.",
            ) from error
        raise UserFault(
            "invalid_parquet",
            f"The Parquet file is truncated or damaged: {reason}. Write and send it again.",
        ) from error
