"""Parquet columns of text in any type are read; every fault of a file is told as the user's."""

import io
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.corpora.formats.layout import Hints
from tests.app.corpora.reading import documents_of, read, refusal

WORDS = pa.array(["a b", "über", None, "c"])
TEXT = ["a b", "über", "c"]
WRITTEN = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


def parquet(columns: Any, **options: Any) -> bytes:
    """A file of a dict of columns, or of pairs, of which several may have one name."""
    pairs = list(columns.items() if isinstance(columns, dict) else columns)
    table = pa.Table.from_arrays([column for _, column in pairs], names=[name for name, _ in pairs])
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize(
    "column",
    [
        WORDS,
        WORDS.cast(pa.large_string()),
        WORDS.cast(pa.string_view()),
        WORDS.dictionary_encode(),
        WORDS.cast(pa.large_string()).dictionary_encode(),
        WORDS.cast(pa.binary()),
        WORDS.cast(pa.large_binary()),
        WORDS.cast(pa.binary()).cast(pa.binary_view()),
        WORDS.cast(pa.binary()).dictionary_encode(),
        pa.chunked_array([WORDS[:1], WORDS[1:]]),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("store_schema", [True, False])
def test_text_of_any_type_is_read(column: Any, store_schema: bool) -> None:
    data = parquet({"id": pa.array([1, 2, 3, 4]), "text": column}, store_schema=store_schema)
    inspection, documents = read(data)
    assert documents == TEXT
    assert (inspection.skipped, inspection.skipped_lines) == (1, [3])
    assert inspection.encoding is None


@pytest.mark.parametrize(
    ("columns", "hint", "texts"),
    [
        ({"body": WORDS}, None, TEXT),
        ({"id": pa.array([1, 2, 3, 4]), "body": WORDS}, None, TEXT),
        ({"label": WORDS, "text": WORDS}, None, TEXT),
        ({"doc.text": WORDS}, "doc.text", TEXT),
        ([("doc", pa.array([{"text": "x"}] * 4)), ("doc.text", WORDS)], "doc.text", TEXT),
        ([("id", WORDS), ("id", WORDS), ("text", WORDS)], None, TEXT),
        ({"x": pa.array([[1]] * 4), "y": pa.array([{"z": "w"}] * 4), "text": WORDS}, None, TEXT),
        ({" text ": WORDS, "id": WORDS}, "text", TEXT),
    ],
)
def test_the_column_is_found(columns: Any, hint: str | None, texts: list[str]) -> None:
    assert documents_of(parquet(columns), Hints(text_field=hint)) == texts


@pytest.mark.parametrize(
    ("columns", "code", "says"),
    [
        ([("text", WORDS), ("text", WORDS)], "duplicate_text_field", "2 columns"),
        ([("a", WORDS), ("a", WORDS)], "missing_text_field", "'a', 'a'"),
        ({"text": pa.array([["a"], ["b"]])}, "text_field_not_string", "list<element: string>"),
        ({"text": pa.array([{"a": "b"}])}, "text_field_not_string", "struct<a: string>"),
        ({"text": pa.array([1, 2])}, "text_field_not_string", "int64"),
        ({"text": pa.array([1.5])}, "text_field_not_string", "double"),
        ({"text": pa.array([True])}, "text_field_not_string", "bool"),
        ({"text": pa.array([1]).dictionary_encode()}, "text_field_not_string", "int64"),
        (
            {"text": pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string()))},
            "text_field_not_string",
            "map<",
        ),
        ({"text": pa.array([b"ab"], pa.binary(2))}, "text_field_not_string", "fixed_size_binary"),
        ({"text": pa.array([b"a\xff"])}, "not_utf8", "not UTF-8"),
        ({"text": pa.nulls(3)}, "empty_corpus", "no document"),
        ({"text": pa.array([None, None], pa.string())}, "empty_corpus", "no document"),
        ({"text": pa.array([], pa.string())}, "empty_corpus", "no document"),
        ({"text": pa.array(["", " "])}, "empty_corpus", "no document"),
        ({"text": pa.array(["a", None, None, None])}, "too_many_rows_without_text", "3 null"),
        ({}, "missing_text_field", "none"),
        ({"a": WORDS, "b": WORDS}, "missing_text_field", "'a', 'b'"),
        ({"te\0xt": WORDS}, "unusable_text_field", "NUL"),
    ],
)
def test_what_is_wrong_is_said(columns: Any, code: str, says: str) -> None:
    fault = refusal(parquet(columns))
    assert (fault.code, says in fault.message) == (code, True), fault.message


GOOD = parquet({"text": pa.array([f"text {number}" for number in range(50)])}, store_schema=False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"PAR1" * 3,
        GOOD[:100],
        GOOD[:-1],
        GOOD[4:],
        b"PAR1" + GOOD,
        GOOD[:-8] + b"\xff\xff\xff\x7fPAR1",
        GOOD[:-8] + b"\0\0\0\0PAR1",
        GOOD[:20] + b"\xff" * 40 + GOOD[60:],
        b"text,\n",
    ],
)
def test_damaged_files_are_refused(data: bytes) -> None:
    assert refusal(data, "a.parquet").code == "invalid_parquet"


@pytest.mark.parametrize("data", [GOOD[:-4] + b"PARE", b"PARE" + GOOD[4:-4] + b"PARE"])
def test_encrypted_files_are_refused_as_such(data: bytes) -> None:
    fault = refusal(data, "a.parquet")
    assert (fault.code, "encrypted" in fault.message) == ("invalid_parquet", True)


FLIPS = """
import io, sys
from app.corpora.documents import Layout, inspect
from app.corpora.formats.compression import Limits
from app.contract.errors import UserFault

good, limits = sys.stdin.buffer.read(), Limits(1 << 30, 200)
footer = int.from_bytes(good[-8:-4], "little") + 8
for place in range(len(good) - footer, len(good)):
    for bits in (0x01, 0x10, 0x80):
        data = bytearray(good)
        data[place] ^= bits
        try:
            inspect(io.BytesIO(data), Layout("parquet"), limits)
        except UserFault:
            pass
print("survived")
"""


def test_no_damaged_footer_ends_the_process() -> None:
    """Arrow aborts where an exception leaves some of its calls, so this runs in a process."""
    run = [sys.executable, "-c", FLIPS]
    ended = subprocess.run(run, input=GOOD, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, b"survived\n"), ended.stderr[-2000:]


@settings(max_examples=60)
@given(
    texts=st.lists(st.none() | WRITTEN, min_size=1, max_size=40),
    type_=st.sampled_from(
        [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()]
    ),
    as_dictionary=st.booleans(),
    options=st.fixed_dictionaries(
        {
            "compression": st.sampled_from(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
            "row_group_size": st.integers(1, 50),
            "data_page_version": st.sampled_from(["1.0", "2.0"]),
            "use_dictionary": st.booleans(),
            "store_schema": st.booleans(),
        }
    ),
)
def test_what_arrow_writes_reads_back(
    texts: list[str | None], type_: Any, as_dictionary: bool, options: dict[str, Any]
) -> None:
    kept = [text for text in texts if text and text.strip()]
    column = pa.array(texts, pa.string()).cast(type_)
    if as_dictionary and type_ not in {pa.string_view()}:
        column = column.dictionary_encode()
    data = parquet({"id": pa.array(range(len(texts))), "text": column}, **options)
    if 2 * len(kept) < len(texts):
        assert refusal(data).code in {"empty_corpus", "too_many_rows_without_text"}
    else:
        assert documents_of(data) == kept
