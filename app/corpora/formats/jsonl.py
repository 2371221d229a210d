"""Read JSON lines: an object a line, of which a document is the text field or the whole."""

from collections.abc import Iterable, Iterator

import orjson

from app.corpora.formats.layout import DEFAULT_TEXT_FIELD, missing_text_field
from app.corpora.formats.text import read_lines
from app.contract.errors import UserFault

Row = dict[str, object]


def read_jsonl(blocks: Iterable[bytes], text_field: str | None) -> Iterator[str]:
    """Yield each object's text; blank lines and nulls are passed over."""
    wanted = text_field or DEFAULT_TEXT_FIELD
    for number, row in read_rows(blocks):
        text = _text_of(row, number, wanted)
        if text is not None:
            yield text


def read_records(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield each line that holds an object, whatever its fields; blank lines are passed over."""
    for number, line in _lines(blocks):
        _parse(line, number)
        yield line.strip()


def read_rows(blocks: Iterable[bytes]) -> Iterator[tuple[int, Row]]:
    """Yield each object with the number of its line, from 1; blank lines are passed over."""
    return ((number, _parse(line, number)) for number, line in _lines(blocks))


def _lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    return ((n, line) for n, line in enumerate(read_lines(blocks), 1) if not line.isspace())


def _text_of(row: Row, number: int, wanted: str) -> str | None:
    if wanted not in row:
        raise missing_text_field(wanted, list(row), f"Line {number}")
    text = row[wanted]
    if text is None or isinstance(text, str):
        return text
    raise UserFault(
        "text_field_not_string",
        f"The field {wanted!r} on line {number} is not a string but a {type(text).__name__}. "
        "Name a field of strings as `text_field`.",
    )


def _parse(line: str, number: int) -> Row:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        reason = f"{error.msg} (column {error.colno})"
    else:
        if isinstance(row, dict):
            return row
        reason = f"a {type(row).__name__} where an object is expected"
    raise UserFault(
        "invalid_jsonl",
        f"Line {number} is not a JSON object: {reason}. Put one object on each line, as in "
        '{"text": "…"}.',
    )
