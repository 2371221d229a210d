"""Corpora as files: texts written in each format and compression, and files that arrive in bits."""

import csv
import gzip
import io
import itertools
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from app.contract.corpora import Compression, Format


class BitsFile(io.BytesIO):
    """A file of which each read gives as many bytes as `sizes` says next, at most."""

    def __init__(self, data: bytes, sizes: Sequence[int]) -> None:
        super().__init__(data)
        self._sizes = itertools.cycle(sizes)

    def read(self, size: int | None = -1, /) -> bytes:
        most = next(self._sizes)
        return super().read(most if size is None or size < 0 else min(size, most))


def encode(texts: Sequence[str], format_: Format, group: int = 2) -> bytes:
    """A file of these documents; in Parquet, with this many in a row group."""
    if format_ == "text":
        return "\n".join(texts).encode()
    if format_ in {"jsonl", "records"}:
        return "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in texts).encode()
    if format_ == "parquet":
        sink = io.BytesIO()
        table = pa.table({"id": list(range(len(texts))), "text": pa.array(texts, pa.string())})
        pq.write_table(table, sink, row_group_size=group)
        return sink.getvalue()
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="," if format_ == "csv" else "\t")
    writer.writerows([("id", "text"), *(("1", text) for text in texts)])
    return out.getvalue().encode()


def compress(data: bytes, compression: Compression | None) -> bytes:
    """The file compressed, in two members, as `cat` of two archives makes it."""
    if compression is None:
        return data
    half = len(data) // 2
    pack = gzip.compress if compression == "gzip" else zstandard.compress
    return pack(data[:half]) + pack(data[half:])
