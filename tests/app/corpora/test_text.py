"""Lines end with LF, CR LF or CR; other encodings than UTF-8 are read or named."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.corpora.documents import Layout, read_documents
from app.corpora.formats.text import LineDecoder, TextCounter
from tests.app.corpora.reading import documents_of, read, refusal
from tests.support.encodings import BitsFile

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)
LINES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\ufeff"), max_size=9)
)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]


@settings(max_examples=200)
@given(
    lines=LINES,
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(ENCODINGS),
    sizes=SIZES,
)
def test_lines_of_any_ending_and_encoding_read_back(
    lines: list[str], ending: str, encoding: str, sizes: list[int]
) -> None:
    data = ("x" + ending + ending.join(lines)).encode(encoding)
    wanted = ["x", *(line for line in lines if line.strip())]
    assert list(read_documents(BitsFile(data, sizes), Layout("text"))) == wanted
    counter, file = TextCounter(), BitsFile(data, sizes)
    while block := file.read():
        counter.feed(block)
    counter.finish()
    assert (counter.documents, counter.characters) == (len(wanted), sum(map(len, wanted)))


@pytest.mark.parametrize(
    ("data", "documents"),
    [
        (b"one\rtwo\rthree\r", ["one", "two", "three"]),
        (b"one\rtwo\nthree\r\nfour", ["one", "two", "three", "four"]),
        (b"one\r\r\n\n\rtwo", ["one", "two"]),
        (b"one\n\rtwo", ["one", "two"]),
        ("a\x85b\u2028c\u2029d\x0be\x0cf\x1cg".encode(), ["a\x85b\u2028c\u2029d\x0be\x0cf\x1cg"]),
        ("\ufeffa\nb".encode("utf-16-le"), ["a", "b"]),
        ("\ufeffa\nb".encode("utf-16-be"), ["a", "b"]),
        ("\ufeffa\nb".encode("utf-32-be"), ["a", "b"]),
        ("😀\n".encode("utf-16"), ["😀"]),
    ],
)
def test_what_ends_a_line(data: bytes, documents: list[str]) -> None:
    assert documents_of(data, "a.txt") == documents


def test_lines_that_arrive_one_by_one_are_not_held() -> None:
    decoder = LineDecoder()
    decoder.feed(b"x" * 600 + b"\r")
    for _ in range(100_000):
        decoder.feed(b"y" * 400 + b"\r")
    decoder.finish()
    assert decoder.lines == 100_001


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_answer_names_the_encoding(encoding: str) -> None:
    assert read("a\n".encode(encoding))[0].encoding == encoding.removesuffix("-sig")
    table = "id;text\n1;ü\n".encode(encoding)
    inspection, documents = read(table, "a.csv")
    assert (inspection.encoding, documents) == (encoding.removesuffix("-sig"), ["ü"])


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        ("Fieber für heute\n".encode("latin-1"), "not_utf8", "iconv -f WINDOWS-1252"),
        ("a\r\rü\n".encode("cp1252"), "not_utf8", "line 3 at byte offset 3"),
        ("文字\n".encode("gb18030"), "not_utf8", "0xce"),
        ("文字\n".encode("shift-jis"), "not_utf8", "0x95"),
        (("a\n" * 50).encode("utf-16-le"), "binary_corpus", "without a byte order mark"),
        (("ab\n" * 50).encode("utf-16-be"), "binary_corpus", "without a byte order mark"),
        (("ab\n" * 50).encode("utf-32-le"), "binary_corpus", "without a byte order mark"),
        ("a\n".encode("utf-16")[:-1], "not_utf8", "UTF-16"),
        (b"\xff\xfe" + b"a\0\x3d\xd8b\0", "not_utf8", "UTF-16"),
        (b"\xff\xfe\0\0" + b"\xff\xff\xff\x7f", "not_utf8", "UTF-32"),
        (b"a\xed\xa0\xbd\n", "not_utf8", "0xed"),
        (b"\xff\xfea\0\0\0", "binary_corpus", "line 1"),
    ],
)
def test_other_encodings_are_refused_for_what_they_are(data: bytes, code: str, says: str) -> None:
    fault = refusal(data, "a.txt")
    assert (fault.code, says in fault.message) == (code, True), fault.message


def test_memory_stays_bounded_without_line_ends() -> None:
    data = io.BytesIO(("é" * (9 << 20)).encode("utf-16"))
    with pytest.raises(Exception, match="longer than"):
        list(read_documents(data, Layout("text")))
