"""Which bytes are sent for which headers."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.artifacts.responses import parse_range, select_bytes
from app.errors import RangeNotSatisfiableError

ETAG = '"abc"'
DATA = bytes(range(100))


def select(method: str = "GET", **headers: str) -> tuple[HTTPStatus, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    selection = select_bytes(method, named, ETAG, len(DATA))
    return selection.status, DATA[selection.start : selection.end]


@given(st.binary(min_size=1, max_size=60), st.integers(0, 80), st.integers(0, 80))
def test_a_range_is_a_slice(data: bytes, first: int, length: int) -> None:
    header = f"bytes={first}-{first + length}"
    if first >= len(data):
        with pytest.raises(RangeNotSatisfiableError) as refusal:
            parse_range(header, len(data))
        assert refusal.value.headers == {"content-range": f"bytes */{len(data)}"}
    else:
        start, end = parse_range(header, len(data)) or (0, 0)
        assert data[start:end] == data[first : first + length + 1]


@given(st.binary(min_size=1, max_size=60), st.integers(0, 59))
def test_an_open_range_is_the_rest(data: bytes, first: int) -> None:
    first = min(first, len(data) - 1)
    assert parse_range(f"bytes={first}-", len(data)) == (first, len(data))


@given(st.binary(min_size=1, max_size=60), st.integers(1, 80))
def test_a_suffix_is_the_end(data: bytes, length: int) -> None:
    start, end = parse_range(f"bytes=-{length}", len(data)) or (0, 0)
    assert data[start:end] == data[-length:]


@given(st.text(max_size=40))
def test_no_header_breaks(text: str) -> None:
    for header in (text, f"bytes={text}"):
        try:
            parsed = parse_range(header, 50)
        except RangeNotSatisfiableError:
            continue
        assert parsed is None or 0 <= parsed[0] < parsed[1] <= 50


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b"),
        *("bytes=-1-2", "bytes=٣-٤", "bytes=" + "9" * 5000 + "-"),
    ],
)
def test_the_whole_file_where_the_range_makes_no_sense(header: str) -> None:
    assert parse_range(header, 50) is None


@pytest.mark.parametrize("header", ["bytes=50-", "bytes=50-60", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        parse_range(header, 50)


def test_an_empty_file_has_no_end_to_give() -> None:
    assert parse_range("bytes=-5", 0) is None


def test_a_part_says_which_it_is() -> None:
    selection = select_bytes("GET", {"range": "bytes=10-19"}, ETAG, 100)
    assert selection.status == HTTPStatus.PARTIAL_CONTENT
    assert selection.headers == {"content-length": "10", "content-range": "bytes 10-19/100"}


@pytest.mark.parametrize("tags", [ETAG, "*", f'"x", {ETAG}', f"W/{ETAG}"])
def test_what_the_client_has_is_not_sent(tags: str) -> None:
    assert select(if_none_match=tags, range="bytes=0-1")[0] == HTTPStatus.NOT_MODIFIED


def test_another_tag_is_sent() -> None:
    assert select(if_none_match='"x"') == (HTTPStatus.OK, DATA)


@pytest.mark.parametrize("held", ['"x"', f"W/{ETAG}", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_part_of_another_file_is_not_continued(held: str) -> None:
    assert select(if_range=held, range="bytes=10-") == (HTTPStatus.OK, DATA)


def test_a_part_of_this_file_is_continued() -> None:
    assert select(if_range=ETAG, range="bytes=90-") == (HTTPStatus.PARTIAL_CONTENT, DATA[90:])


def test_head_knows_no_ranges() -> None:
    assert select("HEAD", range="bytes=10-")[0] == HTTPStatus.OK
