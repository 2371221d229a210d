import io
import json
import struct
from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.contract.corpora import Compression, Format
from app.contract.errors import UserFault
from app.corpora.documents import Layout, inspect, read_documents, read_rows
from app.corpora.formats.compression import Limits
from app.corpora.formats.text import TextCounter, read_text
from tests.support.encodings import BitsFile, compress, encode

LIMITS = Limits(max_bytes=1 << 30, max_ratio=200)
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)
TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\ufeff"), max_size=9)
)


ROWS = st.lists(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=5,
        ),
        max_size=4,
    ),
    max_size=5,
)


def documents_of(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if text.strip()]


@pytest.mark.parametrize("format_", ["text", "jsonl", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
@settings(max_examples=25)
@given(texts=TEXTS, sizes=SIZES)
@example(texts=["a\u2028b\x85c\x0bd", "é漢🙂"], sizes=[1])
def test_what_is_written_reads_back(
    format_: Format, compression: Compression | None, texts: list[str], sizes: list[int]
) -> None:
    if format_ == "parquet" and compression:
        return
    data = compress(encode(texts, format_), compression)
    file = io.BytesIO(data) if format_ == "parquet" else BitsFile(data, sizes)
    assert list(read_documents(file, Layout(format_, compression))) == documents_of(texts)


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
@settings(max_examples=25)
@given(rows=ROWS, sizes=SIZES, blank=st.sampled_from(["", "\n", " \r\n"]))
def test_records_of_any_shape_read_back(
    compression: Compression | None, rows: list[dict[str, object]], sizes: list[int], blank: str
) -> None:
    data = compress("".join(f"{blank}{json.dumps(row)}\n" for row in rows).encode(), compression)
    layout = Layout("records", compression)
    found = list(read_rows(BitsFile(data, sizes), layout))
    step = 2 if blank else 1
    assert found == [(step * number, row) for number, row in enumerate(rows, 1)]
    documents = list(read_documents(BitsFile(data, sizes), layout))
    assert documents == [json.dumps(row) for row in rows]


@settings(max_examples=50)
@given(data=st.binary(max_size=60), compression=st.sampled_from([None, "gzip", "zstd"]))
def test_what_is_no_records_is_the_users_fault(
    data: bytes, compression: Compression | None
) -> None:
    with suppress(UserFault):
        assert inspect(io.BytesIO(data), Layout("records", compression), LIMITS).documents


@pytest.mark.parametrize("format_", ["jsonl", "csv", "tsv", "parquet"])
def test_a_field_may_hold_line_breaks(format_: Format) -> None:
    texts = ['say "a\nb", then\r\nc\td', "x"]
    assert list(read_documents(io.BytesIO(encode(texts, format_)), Layout(format_))) == texts


@settings(max_examples=300)
@given(text=st.text(st.sampled_from("ab é \u2028\n\r\t\ufeff")), sizes=SIZES)
def test_the_counter_counts_what_is_read(text: str, sizes: list[int]) -> None:
    data, counter = text.encode(), TextCounter()
    file = BitsFile(data, sizes)
    while block := file.read():
        counter.feed(block)
    counter.finish()
    read = list(read_text([data]))
    assert (counter.documents, counter.characters) == (len(read), sum(map(len, read)))


def test_bom_crlf_and_a_last_line_without_an_ending() -> None:
    file = io.BytesIO(b"\xef\xbb\xbfone\r\n\r\n  \r\ntwo\r\nthree")
    assert list(read_documents(file, Layout("text"))) == ["one", "two", "three"]


def test_inspect_counts_characters_and_names_the_only_column() -> None:
    held = inspect(io.BytesIO("satz\nÄpfel\n\nZüge\n".encode()), Layout("csv"), LIMITS)
    assert (held.layout.text_field, held.documents, held.characters) == ("satz", 2, 9)


def test_nulls_are_no_documents() -> None:
    file = io.BytesIO(b'{"text": null}\n{"text": "a"}\n')
    assert list(read_documents(file, Layout("jsonl"))) == ["a"]


def fault_of(data: bytes, layout: Layout, limits: Limits = LIMITS) -> UserFault:
    with pytest.raises(UserFault) as raised:
        inspect(io.BytesIO(data), layout, limits)
    return raised.value


PARQUET = encode(["a", "b"], "parquet")
GZIP = compress(b"some text\n" * 50, "gzip")
ZSTD = compress(b"some text\n" * 50, "zstd")


@pytest.mark.parametrize(
    ("data", "layout", "code", "says"),
    [
        (b"", Layout("text"), "empty_corpus", "no document"),
        (b" \n\t\r\n", Layout("text"), "empty_corpus", "no document"),
        (b"text\n\n", Layout("csv"), "empty_corpus", "no document"),
        (b"", Layout("csv"), "empty_corpus", "no document"),
        (b"ok\nbad \xff\n", Layout("text"), "not_utf8", "0xff, is on line 2 at byte offset 7"),
        (b"\xef\xbb\xbfok\n\xc3", Layout("text"), "not_utf8", "line 2 at byte offset 6"),
        (b"a\nb\0c\n", Layout("text"), "binary_corpus", "line 2, byte 3"),
        ("hi\n".encode("utf-16-le"), Layout("text"), "binary_corpus", "UTF-16"),
        (b"PK\x03\x04\x14\xff", Layout("text"), "binary_corpus", "zip"),
        (GZIP[:-20], Layout("text", "gzip"), "broken_gzip", "truncated or damaged"),
        (GZIP[:-8] + b"\0" * 8, Layout("text", "gzip"), "broken_gzip", "damaged"),
        (GZIP + b"garbage", Layout("text", "gzip"), "broken_gzip", "damaged"),
        (ZSTD[:-5], Layout("text", "zstd"), "broken_zstd", "truncated or damaged"),
        (ZSTD + b"garbage", Layout("text", "zstd"), "broken_zstd", "damaged"),
        (b"not gzip", Layout("text", "gzip"), "broken_gzip", "damaged"),
        (b'{"body": "a", "b": "c"}\n', Layout("jsonl"), "missing_text_field", "'body'"),
        (b'{"body": "a"}\n', Layout("jsonl", None, "x"), "missing_text_field", "'body'"),
        (b"id,body\n1,a\n", Layout("csv"), "missing_text_field", "'id', 'body'"),
        (b"id,body\n1,a\n", Layout("csv", None, "x"), "missing_text_field", "'x'"),
        (PARQUET, Layout("parquet", None, "x"), "missing_text_field", "'id', 'text'"),
        (b'\n{"text":5}\n{"text":[]}', Layout("jsonl"), "text_field_not_string", "line 2"),
        (PARQUET, Layout("parquet", None, "id"), "text_field_not_string", "int64"),
        (b'{"text":"a"}\n\n{"text"', Layout("jsonl"), "invalid_jsonl", "Line 3"),
        (b"[1]\n", Layout("jsonl"), "invalid_jsonl", "list"),
        (b'{"a":1}\n\n{"a"', Layout("records"), "invalid_jsonl", "Line 3"),
        (b'{"a":1}\n"b"\n', Layout("records"), "invalid_jsonl", "Line 2 is not a JSON object"),
        (b"[" * 5000, Layout("records"), "invalid_jsonl", "Line 1"),
        (b"\n \n", Layout("records"), "empty_corpus", "no document"),
        (b'{"a":"\xff"}', Layout("records"), "not_utf8", "line 1"),
        (b"text,b\na\n", Layout("csv"), "invalid_csv", "line 2 has 1 fields"),
        (b'text\n"a" b\n', Layout("csv"), "invalid_csv", "line 2"),
        (b'text\n"never ends\n', Layout("csv"), "invalid_csv", "line"),
        (b"plain", Layout("parquet"), "invalid_parquet", "truncated or damaged"),
        (PARQUET[:-30], Layout("parquet"), "invalid_parquet", "truncated or damaged"),
        (b"a" * (17 << 20), Layout("text"), "line_too_long", "Line 1"),
    ],
)
def test_wrong_input_is_refused(data: bytes, layout: Layout, code: str, says: str) -> None:
    fault = fault_of(data, layout)
    assert fault.code == code
    assert says in fault.message


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_grows_too_much_is_refused_while_it_grows(compression: Compression) -> None:
    data = compress(b"a\n" * (8 << 20), compression)
    assert fault_of(data, Layout("text", compression)).code == "decompression_bomb"
    small = Limits(max_bytes=1 << 20, max_ratio=1 << 20)
    assert fault_of(data, Layout("text", compression), small).code == "corpus_too_large"


def test_a_parquet_file_that_unfolds_too_far_is_refused() -> None:
    data = encode(["x" * (4 << 20)], "parquet")
    assert fault_of(data, Layout("parquet"), Limits(1 << 20, 200)).code == "corpus_too_large"
    assert fault_of(data, Layout("parquet"), Limits(1 << 30, 3)).code == "decompression_bomb"
    repeated = encode(["y" * 5000] * 20_000, "parquet", group=20_000)
    assert fault_of(repeated, Layout("parquet")).code == "decompression_bomb"


def test_a_parquet_column_must_hold_utf8_strings() -> None:
    offsets = pa.py_buffer(struct.pack("<2i", 0, 2))
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"a\xff")])
    for column, code in ((broken, "not_utf8"), (broken.view("binary"), "not_utf8")):
        sink = io.BytesIO()
        pq.write_table(pa.table({"text": column}), sink)
        assert fault_of(sink.getvalue(), Layout("parquet")).code == code


class FailingFile(io.BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise ConnectionError("the store is away")


@pytest.mark.parametrize("layout", [Layout("text", "gzip"), Layout("parquet"), Layout("text")])
def test_a_failure_of_the_storage_is_not_the_users(layout: Layout) -> None:
    with pytest.raises(ConnectionError, match="the store is away"):
        inspect(FailingFile(b"abc" * 9), layout, LIMITS)
