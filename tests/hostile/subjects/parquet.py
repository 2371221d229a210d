"""Parquet files that are damaged, or unfold into much more."""

import gzip
import io
import struct
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.case import Case, Data, Wanted, accepted, refused, upload

KEY = b"0123456789abcdef"


def parquet(columns: Any, **options: Any) -> bytes:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    written = io.BytesIO()
    pq.write_table(table, written, **options)
    return written.getvalue()


def file(name: str, data: Data, wanted: Wanted, /, **fields: str) -> Case:
    return upload(f"Parquet: {name}", data, wanted, filename="a.parquet", **fields)


def of_one_name() -> bytes:
    return parquet(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"]))


def a_bomb() -> bytes:
    """A dictionary of one long text, which 50,000 rows name."""
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), ["ab" * 100_000])
    return parquet({"text": long}, compression="zstd")


def flipped(place: int, data: bytes) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


GOOD = parquet({"text": ["one", "two"], "label": [1, 2]})
FOOTER = struct.unpack("<I", GOOD[-8:-4])[0]
INVALID = {
    "four bytes": b"PAR1",
    "two marks": b"PAR1PAR1",
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "cut by a byte": GOOD[:-1],
    "cut by its mark": GOOD[:-4],
    "a footer longer than the file": GOOD[:-8] + struct.pack("<I", 1 << 30) + b"PAR1",
    "a footer of a negative length": GOOD[:-8] + b"\xff\xff\xff\xff" + b"PAR1",
    "a footer of no length": GOOD[:-8] + bytes(4) + b"PAR1",
    "a footer of zeros": GOOD[: -8 - FOOTER] + bytes(FOOTER) + GOOD[-8:],
    "no data before its footer": b"PAR1" + GOOD[-8 - FOOTER :],
    "text before its mark": b"hello" + GOOD,
    "an encrypted mark": b"PARE" + GOOD[4:-4] + b"PARE",
    "pages of zeros": GOOD[:4] + bytes(len(GOOD) - FOOTER - 12) + GOOD[-8 - FOOTER :],
}
NOT_STRINGS = {
    "integers": pa.array([1, 2]),
    "floats": pa.array([1.5, float("nan")]),
    "lists": pa.array([["a"], ["b"]]),
    "structs": pa.array([{"a": "b"}]),
    "times": pa.array([1], pa.timestamp("ns")),
    "decimals": pa.array([1], pa.decimal128(38)),
    "truths": pa.array([True]),
}
CASES: list[Case] = [
    *(
        file(name, data, refused("invalid_parquet", "binary_corpus"))
        for name, data in INVALID.items()
    ),
    *(
        file(f"a text of {name}", parquet({"text": column}), refused("text_field_not_string"))
        for name, column in NOT_STRINGS.items()
    ),
    file("in gzip", gzip.compress(GOOD), refused("invalid_parquet", "binary_corpus")),
    file("no row", parquet({"text": pa.array([], pa.string())}), refused("empty_corpus")),
    file("no column", lambda: parquet(pa.table({})), refused("missing_text_field")),
    file("null rows", parquet({"text": pa.nulls(5, pa.string())}), refused("empty_corpus")),
    file("a column of nothing", parquet({"text": pa.nulls(5)}), refused("empty_corpus")),
    file("two columns of a name", of_one_name, refused("duplicate_text_field")),
    file("no such column", GOOD, refused("missing_text_field"), text_field="body"),
    file("no text", parquet({"a": [1], "b": [2]}), refused("missing_text_field")),
    file("two columns of text", parquet({"a": ["x"], "b": ["y"]}), refused("missing_text_field")),
    file("bytes that are no text", parquet({"text": pa.array([b"\xff\xfe"])}), refused("not_utf8")),
    file("a name with a NUL", parquet({"te\0xt": ["a"]}), refused("unusable_text_field")),
    file("a name of 300 characters", parquet({"t" * 300: ["a"]}), refused("unusable_text_field")),
    file(
        "most rows null",
        parquet({"text": [None, None, None, "a"]}),
        refused("too_many_rows_without_text"),
    ),
    file("a dictionary that unfolds", a_bomb, refused("decompression_bomb", "corpus_too_large")),
    file(
        "zeros that unfold",
        lambda: parquet({"text": ["a" * 1000] * 60_000}, use_dictionary=False, compression="zstd"),
        refused("decompression_bomb", "corpus_too_large"),
    ),
    file("bytes that are text", parquet({"text": pa.array([b"one"])}), accepted(documents=1)),
    file(
        "large strings",
        parquet({"text": pa.array(["a"], pa.large_string())}),
        accepted(documents=1),
    ),
    file(
        "2,000 columns",
        lambda: parquet({"text": ["a"], **{f"c{i}": [i] for i in range(2000)}}),
        accepted(documents=1),
    ),
    file("brotli", parquet({"text": ["a"]}, compression="brotli"), accepted(documents=1)),
    file(
        "a NUL in a text", parquet({"text": ["a\0b"]}), accepted(documents=1, preview=["a\ufffdb"])
    ),
    file(
        "1,000 row groups",
        lambda: parquet({"text": ["a"] * 1000}, row_group_size=1),
        accepted(documents=1000),
    ),
    upload("Parquet named as text", GOOD, accepted(documents=2, format="parquet")),
    upload("text named as Parquet", b"hello\n", refused("invalid_parquet"), filename="a.parquet"),
]
