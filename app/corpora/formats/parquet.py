"""Read Parquet: a document is the text column of a row, read a batch at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from app.corpora.formats.compression import BLOCK, CountingFile, Limits
from app.corpora.formats.layout import choose_text_field
from app.contract.errors import UserFault

BATCH_ROWS = 16
"""Few: a dictionary may unfold a few bytes into a long text in each row."""


def read_parquet(
    file: BinaryIO, text_field: str | None, limits: Limits | None
) -> tuple[str, Iterator[str]]:
    """Return the column that is read, and its values."""
    source = CountingFile(file)
    with _refusing(source):
        table = pq.ParquetFile(source, buffer_size=BLOCK)
        column = choose_text_field(table.schema_arrow.names, text_field)
    _check_type(column, table.schema_arrow.field(column).type)
    if limits:
        _check_size(table.metadata, column, limits)
    return column, _values(table, column, source, limits)


def _values(table: Any, column: str, source: CountingFile, limits: Limits | None) -> Iterator[str]:
    unfolded = 0
    with _refusing(source):
        for batch in table.iter_batches(BATCH_ROWS, columns=[column], use_threads=False):
            for text in batch.column(0).to_pylist():
                if text is not None:
                    unfolded += len(text)
                    if limits:
                        limits.check(unfolded, source.bytes_read)
                    yield text


def _check_type(column: str, type_: Any) -> None:
    value_type = type_.value_type if types.is_dictionary(type_) else type_
    strings = (types.is_string, types.is_large_string, types.is_string_view)
    if not any(is_string(value_type) for is_string in strings):
        raise UserFault(
            "text_field_not_string",
            f"The column {column!r} is not of strings but of {value_type}. Name a column of "
            "strings as `text_field`.",
        )


def _check_size(metadata: Any, column: str, limits: Limits) -> None:
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema == column:
                limits.check(chunk.total_uncompressed_size, chunk.total_compressed_size)


@contextmanager
def _refusing(source: CountingFile) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserFault("not_utf8", f"The text column is not UTF-8: {error}.") from error
    except (OSError, pa.ArrowException) as error:
        if source.failure:
            raise source.failure from error
        raise UserFault(
            "invalid_parquet",
            f"The Parquet file is truncated or damaged: {error}. Write and send it again.",
        ) from error
