"""JSON in any arrangement is told from its content and read as Python's `json` reads it."""

import gzip
import io
import json
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.contract.errors import UserFault
from app.corpora.documents import Layout, read_documents, read_rows
from app.corpora.formats.compression import Limits
from app.corpora.formats.layout import Hints
from tests.app.corpora.reading import documents_of, read, refusal
from tests.support.encodings import BitsFile

LINES = b'{"text": "a b"}\n{"text": "c"}\n'
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "name", [None, "a.txt", "a.text", "corpus", "a.log.gz", "a.jsonl", "a.csv"]
)
@pytest.mark.parametrize(
    "data",
    [
        LINES,
        b"\xef\xbb\xbf" + LINES,
        LINES.decode().encode("utf-16"),
        LINES.replace(b"\n", b"\r\n"),
        LINES.replace(b"\n", b"\r"),
        b"\n \n" + LINES + b"\n\n",
        LINES.strip(),
        gzip.compress(LINES),
        b'[{"text": "a b"}, {"text": "c"}]',
        b'[\n  {"text": "a b"},\n  {"text": "c"}\n]\n',
        b'["a b", "c"]',
        b'{\n  "text": "a b"\n}\n{\n  "text": "c"\n}\n',
    ],
)
def test_json_is_told_from_its_content(name: str | None, data: bytes) -> None:
    inspection, documents = read(data, name)
    assert documents == ["a b", "c"]
    assert inspection.layout.format in {"jsonl", "json"}


@pytest.mark.parametrize(
    "data",
    [
        b"{not json}\n",
        b"[1] Roe, J. A title.\n[2] Poe, E.\n",
        b'["Well", she said.\n',
        b'{"text": "a"} is how a line looks\n',
        b'{"text": "a"}\nplain text\n',
        b"{\\bf bold}\n",
        b'"quoted" line\n"another"\n',
        b"5\n6\n",
        b"[\n",
    ],
)
def test_text_that_only_begins_like_json_stays_text(data: bytes) -> None:
    inspection, documents = read(data, "a.txt")
    assert inspection.layout.format == "text"
    assert documents == [line for line in data.decode().split("\n") if line]


@pytest.mark.parametrize("type_", ["application/x-ndjson", "application/jsonl", "text/plain", ""])
def test_the_media_type_does_not_hide_it(type_: str) -> None:
    assert documents_of(LINES, Hints(media_type=type_)) == ["a b", "c"]


def test_what_is_asked_for_goes_first() -> None:
    assert documents_of(LINES, Hints(format="text")) == LINES.decode().splitlines()
    assert documents_of(b"x,text\n1,a\n", Hints(media_type="text/csv")) == ["a"]


def test_a_line_longer_than_what_is_looked_at_is_told_as_well() -> None:
    text = "word " * 250_000
    assert documents_of(json.dumps({"text": text}).encode() + b"\n") == [text]
    assert documents_of(json.dumps([{"text": text}, {"text": "b"}]).encode()) == [text, "b"]


@pytest.mark.parametrize(
    ("rows", "field", "texts"),
    [
        ([{"body": "a"}, {"body": "b"}], "body", ["a", "b"]),
        ([{"id": 1, "body": "a"}, {"id": 2, "body": "b"}], "body", ["a", "b"]),
        ([{"body": None}, {"body": "b"}], "body", ["b"]),
        ([{"id": 1}, {"id": 2, "text": "b"}, {"text": "c"}], "text", ["b", "c"]),
        ([{"title": "t", "text": "a"}], "text", ["a"]),
        ([{"tags": ["x"], "body": "a", "n": {"m": "z"}}], "body", ["a"]),
        (["a", "b"], None, ["a", "b"]),
        (["a", None, "b"], None, ["a", "b"]),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_the_text_field_is_found(
    rows: list[object], field: str | None, texts: list[str], array: bool
) -> None:
    data = json.dumps(rows) if array else "".join(json.dumps(row) + "\n" for row in rows)
    inspection, documents = read(data.encode(), "a.json")
    assert (inspection.layout.text_field, documents) == (field, texts)
    assert inspection.layout.format == ("json" if array else "jsonl")


@pytest.mark.parametrize(
    "other",
    [
        '"s": NaN',
        '"s": Infinity',
        '"s": [-Infinity, 1e999]',
        '"s": "half \\ud83d"',
        '"s": "\\ude00 other half"',
        '"s\\ud83d": 1',
        f'"s": {"9" * 5000}',
        '"s": 123456789012345678901234567890',
        '"s": 1, "s": 2',
        '"s": "\\u0000"',
        '"s": {"t": {"t": [[[[{}]]]]}}',
        '"s": -0.0',
    ],
)
@pytest.mark.parametrize("form", ["{}\n{}\n", "[{}, {}]", "{}\r{}"])
def test_what_stands_in_another_field_does_not_matter(other: str, form: str) -> None:
    rows = (f'{{"text": "a", {other}}}', f'{{{other}, "text": "b"}}')
    assert documents_of(form.format(*rows).encode()) == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("x \\ud83d", "x \ufffd"),
        ("\\ude00 x", "\ufffd x"),
        ("\\ud83d\\ude00", "😀"),
        ("\\ud83d\\ud83d\\ude00", "\ufffd😀"),
        ("\\uD83D \\uDE00", "\ufffd \ufffd"),
        ("\\\\ud83d", "\\ud83d"),
        ("\\\\\\ud83d", "\\\ufffd"),
        ("a\\u0000b", "a\0b"),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_half_a_surrogate_pair_is_replaced(written: str, read_as: str, array: bool) -> None:
    line = f'{{"text": "{written}"}}'
    data = f"[{line}]" if array else line
    assert documents_of(data.encode()) == [read_as]
    read_as.encode()
    rows = list(read_rows(io.BytesIO(data.encode()), Layout("records")))
    assert rows == [(1, {"text": read_as})]


ROW = '{"id": 1, "text": "a"}\n'


@pytest.mark.parametrize(
    ("bad", "skipped"),
    [
        ('{"id": 2}', 1),
        ('{"id": 2, "text": null}', 1),
        ('{"id": 2, "text": 5}', 1),
        ('{"id": 2, "text": ["a"]}', 1),
        ('{"id": 2, "text": {"a": "b"}}', 1),
        ('{"id": 2, "text": true}', 1),
        ('{"id": 2, "text": NaN}', 1),
        ('{"id": 2, "text": ""}', 1),
        ('{"id": 2, "text": " \\n"}', 1),
        ("{}", 1),
        ("", 0),
    ],
)
def test_rows_without_text_are_passed_over_and_counted(bad: str, skipped: int) -> None:
    inspection, documents = read((ROW + bad + "\n" + ROW).encode())
    assert documents == ["a", "a"]
    assert (inspection.skipped, inspection.skipped_lines) == (skipped, [2] * skipped)


def test_too_large_a_share_without_text_is_refused() -> None:
    data = (ROW + '{"id": 2}\n' * 25 + '{"text": null}\n').encode()
    fault = refusal(data)
    assert fault.code == "too_many_rows_without_text"
    assert "26 of 27 rows" in fault.message
    assert "25 missing, 1 null" in fault.message
    assert "first on lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;" in fault.message
    assert read(data, limits=Limits(1 << 30, 200, 0.97))[0].skipped == 26
    strict = Limits(1 << 30, 200, 0)
    assert refusal((ROW * 99 + "{}\n").encode(), limits=strict).code == fault.code
    assert read((ROW * 99).encode(), limits=strict)[0].documents == 99


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b'{"text": "a"}\n{"text": \n', "invalid_jsonl", "Line 2"),
        (b'{"text": "a"}\n["b"]\n', "invalid_jsonl", "Line 2"),
        (b'["a", {"text": "b"}]', "invalid_jsonl", "entry 2"),
        (b'[{"text": "a"}, "b"]', "invalid_jsonl", "entry 2"),
        (b'[{"text": "a"}, 5]', "invalid_jsonl", "entry 2"),
        (b'[{"text": "a"},]', "invalid_jsonl", "entry 2"),
        (b'[{"text": "a"} {"text": "b"}]', "invalid_jsonl", "no comma"),
        (b'[{"text": "a"}', "invalid_jsonl", "not closed"),
        (b'[{"text": "a"}] and more', "invalid_jsonl", "follows"),
        (b"[]", "empty_corpus", "no document"),
        (b'[{"text": null}]', "empty_corpus", "no document"),
        (b'{"text": "a", "x": ' + b"[" * 9999 + b"]" * 9999 + b"}\n", "invalid_jsonl", "deeply"),
        (b'[{"text": "a", "x": ' + b"[" * 9999 + b"]" * 9999 + b"}]", "invalid_jsonl", "deeply"),
        (b'{"data": [{"text": "a"}]}', "text_field_not_string", "'data'"),
        (b'{"a": "x", "b": "y"}\n', "missing_text_field", "'a', 'b'"),
        (b'{"te\\u0000xt": "a"}\n', "unusable_text_field", "NUL"),
        (json.dumps({"k" * 300: "a"}).encode(), "unusable_text_field", "200"),
        (b'[{"text": "\xff"}]', "not_utf8", "not UTF-8"),
        (b'[{"text": "a"}\n', "invalid_jsonl", "not closed"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, code: str, says: str) -> None:
    fault = refusal(data, "a.json")
    assert (fault.code, says in fault.message) == (code, True), fault.message


@settings(max_examples=60)
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), min_size=1, max_size=5),
    indent=st.sampled_from([None, None, 1]),
    ascii_=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    array=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_rows_read_back_as_python_reads_them(
    rows: list[dict[str, object]],
    indent: int | None,
    ascii_: bool,
    ending: str,
    array: bool,
    encoding: str,
    sizes: list[int],
) -> None:
    assume(rows[0] or not indent)  # `{}` is a line, after which lines are expected
    written = [json.dumps(row, indent=indent, ensure_ascii=ascii_) for row in rows]
    text = f"[{','.join(written)}]" if array else ending.join(written)
    # A NUL may only stand in JSON as an escape, and json writes it so.
    data = text.encode(encoding)
    found = [row for _, row in read_rows(BitsFile(data, sizes), Layout("jsonl"))]
    assert found == rows


@settings(max_examples=300)
@given(data=st.text(st.sampled_from('{}[]",: \n\\ud83"textnul1.e-N')).map(str.encode))
def test_no_json_breaks_the_reader(data: bytes) -> None:
    with suppress(UserFault):
        read(data, "a.json")


def test_records_may_stand_in_an_array() -> None:
    data = b'[{"a": NaN, "b": "\\ud83d"},\n{"label": 123456789012345678901}]'
    inspection, documents = read(data, Hints(format="records"))
    assert (inspection.layout.format, len(documents)) == ("records", 2)
    rows = list(read_rows(io.BytesIO(data), inspection.layout))
    assert rows[1] == (2, {"label": 123456789012345678901})
    assert rows[0][1]["b"] == "\ufffd"


def test_a_large_array_is_read_piece_by_piece() -> None:
    texts = [f"document {number} " + "x" * 300 for number in range(20_000)]
    data = json.dumps([{"text": text, "n": 1.5} for text in texts]).encode()
    file = BitsFile(data, [1 << 16])
    documents = read_documents(file, Layout("jsonl", None, "text"))
    assert next(documents) == texts[0]
    assert file.tell() < len(data) / 4
    assert list(documents) == texts[1:]
