"""CSV and TSV: delimiters, quotes and columns that do not fit."""

from tests.hostile.case import Case, Data, Wanted, accepted, refused, upload
from tests.hostile.world import MIB


def csv(name: str, data: Data, wanted: Wanted, /, **fields: str) -> Case:
    return upload(f"CSV: {name}", data, wanted, filename="a.csv", **fields)


def tsv(name: str, data: Data, wanted: Wanted, /, **fields: str) -> Case:
    return upload(f"TSV: {name}", data, wanted, filename="a.tsv", **fields)


CASES: list[Case] = [
    csv("a header alone", b"text,label\n", refused("empty_corpus")),
    csv("no byte", b"", refused("empty_corpus")),
    csv("texts that are blank", b"text,label\n,1\n ,2\n", refused("empty_corpus")),
    csv("an open quote", b'text,label\n"a,1\nb,2\n', accepted(documents=2, quoting="none")),
    csv("a row too wide", b"text,label\na,1\nb,2,3\n", refused("invalid_csv")),
    csv("a row too narrow", b"text,label\na,1\nb\n", refused("invalid_csv")),
    csv("signs behind a quote", b'text,label\n"a"x,1\n', accepted(documents=1, quoting="none")),
    csv("columns of one name", b"text,text\na,b\n", refused("duplicate_text_field")),
    csv("no such column", b"body,label\na,1\n", refused("missing_text_field")),
    csv(
        "a column that is not there",
        b"text,x\na,1\n",
        refused("missing_text_field"),
        text_field="y",
    ),
    csv(
        "most texts blank", b"text,label\n,1\n,2\n,3\na,4\n", refused("too_many_rows_without_text")
    ),
    csv(
        "a first row of another delimiter",
        b"a;b;c\nhello there\nsome words\nand more\n",
        refused("unclear_delimiter"),
    ),
    csv("latin-1", b"text,x\ncaf\xe9,1\n", refused("not_utf8")),
    csv(
        "a field of 17 MiB",
        lambda: b"text,x\n" + b"ab" * (17 * MIB // 2) + b",1\n",
        refused("line_too_long", "invalid_csv"),
    ),
    csv(
        "a quote that never ends, a megabyte on",
        lambda: b'text,x\n"' + b"abc,\n" * (MIB // 5),
        accepted(quoting="none"),
    ),
    csv("a column's name with a NUL", b"te\0xt,x\na,1\n", refused("binary_corpus")),
    csv(
        "a text field of 201 characters",
        b"text\na\n",
        refused("invalid_request"),
        text_field="x" * 201,
    ),
    csv(
        "a text field with a line end", b"text\na\n", refused("invalid_request"), text_field="x\ny"
    ),
    csv("a text field with a NUL", b"text\na\n", refused("invalid_request"), text_field="x\0y"),
    csv("a format of no name", b"text\na\n", refused("invalid_request"), format="xlsx"),
    csv("a name of 201 characters", b"text\na\n", refused("invalid_request"), name="x" * 201),
    csv("a name of signs for a terminal", b"text\na\n", refused("invalid_request"), name="\x1b[2J"),
    csv("formulas", b'text,x\n"=HYPERLINK(""http://x"")",1\n+1,2\n@x,3\n', accepted(documents=3)),
    csv("semicolons", b"id;text\n1;a, b\n2;c\n", accepted(documents=2, delimiter=";")),
    csv(
        "a line that names its delimiter",
        b"sep=|\ntext|x\na|1\n",
        accepted(documents=1, delimiter="|"),
    ),
    csv("line ends in quotes", b'text,x\n"a\r\nb\rc\nd",1\ne,2\n', accepted(documents=2)),
    csv("CR as line end", b"text,x\ra,1\rb,2\r", accepted(documents=2)),
    csv("backslashes before quotes", b'text,x\n"a \\"b\\" c",1\n"d",2\n', accepted(documents=2)),
    csv("a NUL in a text", b"text,x\na\0b,1\n", refused("binary_corpus")),
    csv(
        "5,000 columns",
        lambda: (
            b",".join([b"text", *(b"c%d" % i for i in range(5000))])
            + b"\n"
            + b"a"
            + b",1" * 5000
            + b"\n"
        ),
        accepted(documents=1),
    ),
    csv("UTF-16", "text,x\na,1\n".encode("utf-16"), accepted(documents=1)),
    csv("a mark before the header", b"\xef\xbb\xbftext,x\na,1\n", accepted(documents=1)),
    csv("spaces around names", b" text , x\na,1\n", accepted(documents=1)),
    csv("one column", b"text\na\nb\n", accepted(documents=2)),
    tsv("open quotes as text", b'text\tx\n"a\t1\nb "c\t2\n', accepted(documents=2)),
    tsv("a row too wide", b"text\tx\na\t1\nb\t2\t3\n", refused("invalid_csv")),
    tsv("a header alone", b"text\tx\n", refused("empty_corpus")),
    tsv("no such column", b"a\tb\n1\t2\n", refused("missing_text_field")),
]
