from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.corpora.uploads import FileForm, FormShape
from app.errors import ProblemError

SHAPE = FormShape("file", frozenset({"name", "format"}))
CONTENT_TYPE = 'multipart/form-data; boundary="xyz"'


def part(name: str, value: bytes, extra: str = "") -> bytes:
    head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = b"--xyz--\r\n"
TRICKY = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--xy", b"\r\n--xy", b"a", b"\0\xff"]))


def parse(body: bytes, cuts: list[int]) -> tuple[bytes, FileForm]:
    form = FileForm(CONTENT_TYPE, SHAPE)
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    pieces = [form.feed(body[a:b]) for a, b in pairwise(places)]
    form.finish()
    return b"".join(b"".join(piece) for piece in pieces), form


@settings(max_examples=300)
@given(data=TRICKY, cuts=st.lists(st.integers(0, 10_000), max_size=12), first=st.booleans())
def test_any_split_gives_the_same(data: list[bytes], cuts: list[int], first: bool) -> None:
    content = b"".join(data)
    file = part("file", content, '; filename="ä;b.txt"')
    field = part("name", "Größe".encode())
    body = (file + field if first else field + file) + END
    received, form = parse(body, cuts)
    assert received == content
    assert form.fields == {"name": "Größe"}
    assert form.filename == "ä;b.txt"


def test_each_byte_by_itself() -> None:
    body = part("file", b"one\r\n--xy\r\ntwo") + part("format", b"text") + END
    received, form = parse(body, list(range(len(body))))
    assert (received, form.fields) == (b"one\r\n--xy\r\ntwo", {"format": "text"})


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (part("file", b"a"), "malformed_multipart", "ends before"),
        (b"no boundary at all", "malformed_multipart", "malformed"),
        (b"", "malformed_multipart", "ends before"),
        (part("name", b"n") + END, "missing_file", "`file`"),
        (part("file", b"a") + part("file", b"b") + END, "more_than_one_file", "one corpus"),
        (part("fiel", b"a") + END, "unknown_field", "'fiel'"),
        (part("name", b"a") + part("name", b"b") + END, "unknown_field", "twice"),
        (part("name", b"\xff") + END, "malformed_multipart", "not UTF-8"),
        (part("name", b"x" * (1 << 21)) + END, "fields_too_large", "1048576"),
        (b'--xyz\r\nX: "y"\r\n\r\na\r\n' + END, "malformed_multipart", "no name"),
        (
            part("file", b"YQ==", "\r\nContent-Transfer-Encoding: base64") + END,
            "malformed_multipart",
            "plain bytes",
        ),
    ],
)
def test_bad_forms_are_refused(body: bytes, code: str, says: str) -> None:
    with pytest.raises(ProblemError) as raised:
        parse(body, [])
    assert raised.value.code == code
    assert says in raised.value.detail


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 300]
)
def test_a_form_needs_a_boundary(content_type: str) -> None:
    with pytest.raises(ProblemError, match="boundary"):
        FileForm(content_type, SHAPE)
