"""Tables with any delimiter, quoted or not, are read as they were written, or refused by name."""

import csv
import io
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.corpora.formats.layout import Hints
from tests.app.corpora.reading import documents_of, read, refusal

WORDS = st.text(st.sampled_from("ab ü,;|\t\n\"'é:."), max_size=12)


@pytest.mark.parametrize(
    ("data", "name", "delimiter", "texts"),
    [
        (b"id;text\r\n1;fever, since\r\n2;none\r\n", "a.csv", ";", ["fever, since", "none"]),
        (b"id\ttext\n1\ta, b\n2\tc\n", "a.csv", "\t", ["a, b", "c"]),
        (b"id|text\n1|a, b; c\n2|c\n", "a.csv", "|", ["a, b; c", "c"]),
        (b'sep=;\r\nid;text\r\n1;"a;b"\r\n2;c\r\n', "a.csv", ";", ["a;b", "c"]),
        (b'"sep=|"\nid|text\n1|a\n', "a.csv", "|", ["a"]),
        (b"sep=\t\nid\ttext\n1\ta\n", "a.csv", "\t", ["a"]),
        (b"id,text\n1,a b\n2,c\n", "a.tsv", ",", ["a b", "c"]),
        (b"id;text\n1;a b\n2;c\n", "a.tsv", ";", ["a b", "c"]),
        (b"id^text\n1^a, b\n2^c\n", "a.csv", "^", ["a, b", "c"]),
        (b"id\x01text\n1\x01a\n2\x01b\n", "a.csv", "\x01", ["a", "b"]),
        (b"id::text\n1::a\n2::b\n", "a.csv", ":", ["a", "b"]),
        (b"id;text;price\n1;Roe, Jane;3,50\n2;x;4,20\n", "a.csv", ";", ["Roe, Jane", "x"]),
        (b'id;text\n1;"a; ""b"""\n2;"c\nd"\n', "a.csv", ";", ['a; "b"', "c\nd"]),
        (b'id, text\n1, "a, b"\n2, c\n', "a.csv", ",", ["a, b", "c"]),
        (b"id;text\r1;a\r2;b\r", "a.csv", ";", ["a", "b"]),
        ("\ufeffid;text\n1;ä\n".encode(), "a.csv", ";", ["ä"]),
        ("id\ttext\r\n1\tä\r\n".encode("utf-16"), "a.tsv", "\t", ["ä"]),
        (b"\n\nid;text\n1;a\n\n2;b\n", "a.csv", ";", ["a", "b"]),
        (b"satz;nr\n1. a;1\n2. b;2\n", "a.csv", ";", ["1. a", "2. b"]),
    ],
)
def test_the_delimiter_is_found(data: bytes, name: str, delimiter: str, texts: list[str]) -> None:
    field = "satz" if data.startswith(b"satz") else None
    inspection, documents = read(data, Hints(filename=name, text_field=field))
    assert documents == texts
    assert inspection.layout.delimiter == delimiter
    assert inspection.preview == texts


@pytest.mark.parametrize(
    ("data", "name", "code", "says"),
    [
        (b"id;body\n1;a\n2;b\n", "a.csv", "missing_text_field", "';', has no field 'text'"),
        (b"1;fever\n2;none\n", "a.csv", "missing_text_field", "'1', 'fever'"),
        (b"1|fever|x\n2|none|y\n", "a.tsv", "missing_text_field", "'|'"),
        (b"id;text\n1;a\n2;b;c\n3;d\n", "a.csv", "invalid_csv", "to be ';'"),
        (b"id;note\n1 a\n2 b\n3 c\n", "a.csv", "unclear_delimiter", "';'"),
        (b"text;text\na;b\n", "a.csv", "duplicate_text_field", "'text'"),
        (b"text\na, b\nc\n", "a.csv", "invalid_csv", "to be ','"),
        (b'id,text\n1,"a"\n2,"b', "a.csv", "invalid_csv", "line 3"),
        (b"text" + b"x" * 300 + b",b\na,b\n", "a.csv", "missing_text_field", "'textx"),
    ],
)
def test_else_it_is_refused_by_name(data: bytes, name: str, code: str, says: str) -> None:
    fault = refusal(data, name)
    assert (fault.code, says in fault.message) == (code, True), fault.message


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (['1\t"We are', "2\tplain", '3\tthe end"', "4\tmore"], "a mark that a later line closes"),
        (['1\t"We are', "2\tplain"], "a mark that nothing closes"),
        (['1\t"Well" , he said', "2\tplain"], "a mark closed within the field"),
        (['1\t"Well"', "2\tplain"], "marks around a text that needs none"),
        (['1\t"We" "are"', "2\tplain"], "several marks"),
        (['1\t"', '2\t" "', "3\tplain"], "nothing but marks"),
        (['1\t""We', "2\tplain"], "two marks at the beginning"),
        (['1\ta "b" c', '2\t\\"d', "3\t'e"], "marks amid the field, other marks"),
    ],
)
def test_a_table_without_quoting_is_read_as_written(lines: list[str], why: str) -> None:
    data = "\n".join(["id\ttext", *lines, ""]).encode()
    documents = documents_of(data, "train.tsv")
    assert documents == [line.split("\t")[1] for line in lines], why


def test_a_late_quotation_mark_swallows_nothing() -> None:
    lines = [f"{number}\tline {number}" for number in range(20_000)]
    lines[15_000] = '15000\t"Begins'
    lines[15_900] = '15900\tand ends"'
    documents = documents_of("\n".join(["id\ttext", *lines]).encode(), "a.tsv")
    assert documents == [line.split("\t")[1] for line in lines]


def test_a_comma_table_without_quoting_is_known_by_its_numbers() -> None:
    data = b'id,text\n1,"We are\n2,plain\n3,The end"\n'
    assert documents_of(data, "a.csv") == ['"We are', "plain", 'The end"']
    letter = b'id,text\n1,"Hello\nDear Sir, thanks"\n2,x\n'
    assert documents_of(letter, "a.csv") == ["Hello\nDear Sir, thanks", "x"]


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b'id\ttext\n1\t"a\tb"\n2\t"c\nd"\n3\t"say ""x"""\n', ["a\tb", "c\nd", 'say "x"']),
        (b'id\ttext\r\n1\t"one\r\ntwo\tthree"\r\n2\tx\r\n', ["one\r\ntwo\tthree", "x"]),
        (b'"id"\t"text"\n"1"\t"a"\n"2"\t"b"\n', ["a", "b"]),
        (b'id\ttext\n1\t"a"\n2\t"b"\n', ["a", "b"]),
        (b'id\ttext\n1\t"a ""b"""\n2\tc\n', ['a "b"', "c"]),
        (b'text\n"one\ntwo"\n', ["one\ntwo"]),
    ],
)
def test_a_quoted_tab_table_is_unquoted(data: bytes, texts: list[str]) -> None:
    assert documents_of(data, "a.tsv") == texts


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (r'"he said \"hi\", ok"', 'he said "hi", ok'),
        (r'"a\\"', "a\\"),
        (r'"\"a\""', '"a"'),
        (r'"a, \"b"', 'a, "b'),
        (r'"one ""two"" \"three\""', 'one "two" "three"'),
        ('"a\n\\"b\\""', 'a\n"b"'),
    ],
)
def test_marks_after_backslashes_are_read(row: str, text: str) -> None:
    data = f'id,text\n1,{row}\n2,"x \\"y\\", z"\n'.encode()
    assert documents_of(data, "a.csv") == [text, 'x "y", z']


def test_rows_without_text_are_counted_and_empty_rows_are_not() -> None:
    data = b"id;text\n1;a\n2;\n3; \n4;b\n5;c\n" + b";\n" * 50
    inspection, documents = read(data, "a.csv")
    assert documents == ["a", "b", "c"]
    assert (inspection.skipped, inspection.skipped_lines) == (2, [3, 4])
    assert refusal(b"id;text\n1;a\n2;\n3;\n", "a.csv").code == "too_many_rows_without_text"


def test_one_column_without_a_header_loses_no_row() -> None:
    inspection, documents = read(b"Fever since yesterday.\nNo rash was seen.\n", "a.csv")
    assert documents == ["Fever since yesterday.", "No rash was seen."]
    assert inspection.layout.text_field is None


@settings(max_examples=300)
@given(
    texts=st.lists(WORDS, min_size=1, max_size=6),
    delimiter=st.sampled_from(",;|\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    name=st.sampled_from(["a.csv", "a.tsv"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_csv_writes_reads_back(
    texts: list[str], delimiter: str, quoting: int, ending: str, name: str, encoding: str
) -> None:
    if ending == "\r":  # csv.writer quotes only the line breaks that it writes itself
        texts = [text.replace("\n", "\r") for text in texts]
    rows = [(f"n{number}", text, number) for number, text in enumerate(texts)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending)  # type: ignore[arg-type]
    writer.writerows([("id", "text", "n"), *rows])
    kept = [text for text in texts if text.strip()]
    assume(kept and 2 * len(kept) >= len(texts))
    # Lines within a text that look like rows could as well be rows of a table without quoting.
    assume(
        all(line.count(delimiter) != 2 for text in texts for line in re.split("[\r\n]", text)[1:])
    )
    inspection, documents = read(out.getvalue().encode(encoding), name)
    assert documents == kept
    assert inspection.skipped == len(texts) - len(kept)
