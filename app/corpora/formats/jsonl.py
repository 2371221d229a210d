"""Read JSON: an object or a string a line, one after the other, or in an array.

A document is a string, or the text field of an object. What is read is what Python's `json` reads:
`NaN`, `Infinity` and halves of surrogate pairs too, which become U+FFFD.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from types import NoneType
from typing import cast

import orjson

from app.contract.errors import UserFault
from app.corpora.formats.layout import DEFAULT_TEXT_FIELD, check_name, missing_text_field
from app.corpora.formats.skipped import Skipped
from app.corpora.formats.text import MAX_LINE_BYTES, Transcoder, read_lines

Row = dict[str, object]
Kinds = tuple[type, ...]

ROWS_LOOKED_AT = 1000
LONGEST_INTEGER = 4000  # digits; Python refuses to read more than 4300
LINE_END = re.compile(rb"[\r\n]")
SPACE = re.compile(r"[\s\ufeff]*")
SURROGATES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
LONG_INTEGER = re.compile(r"\d{19}")
SMALL_VALUE = 1 << 16
NESTED = "it is nested too deeply"


def find_text_field(blocks: Iterable[bytes]) -> str | None:
    """Find the field that holds the text, by the first rows; None where they are strings.

    It is `text` where a row has that, else the only key, else the only key with strings. Raises
    `UserFault`.
    """
    keys: Counter[str] = Counter()
    strings: Counter[str] = Counter()
    for _, value in islice(_read_values(blocks, (dict, str, NoneType)), ROWS_LOOKED_AT):
        if isinstance(value, str):
            return None
        if isinstance(value, dict):
            if DEFAULT_TEXT_FIELD in value:
                return DEFAULT_TEXT_FIELD
            keys.update(list(value))
            strings.update(key for key in value if isinstance(value[key], str))
    for candidates in (keys, strings):
        if len(candidates) == 1:
            [name] = candidates
            check_name(name)
            return name
    if not keys:
        return DEFAULT_TEXT_FIELD
    raise missing_text_field(DEFAULT_TEXT_FIELD, list(keys), "The JSON")


def read_json_texts(
    blocks: Iterable[bytes], text_field: str | None, skipped: Skipped
) -> Iterator[str]:
    """Yield the text of each row, or each string where `text_field` is None."""
    kinds: Kinds = (str, NoneType) if text_field is None else (dict,)
    for number, value in _read_values(blocks, kinds):
        text = value.get(text_field) if isinstance(value, dict) else value
        if isinstance(text, str):
            if text and not text.isspace():
                yield text
            else:
                skipped.add(number, "blank")
        elif isinstance(value, dict) and text_field not in value:
            skipped.add(number, "missing", list(value))
        else:
            skipped.add(number, "null" if text is None else f"a {type(text).__name__}")


def read_records(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield each object as text, as it is written where it has a line; whatever its fields."""
    is_array, blocks = _peek(blocks)
    if is_array:
        for _, row in read_rows(blocks):
            yield json.dumps(row, ensure_ascii=False)
        return
    for number, line in _lines(blocks):
        _check_kind(_parse(line, number), (dict,), f"Line {number}")
        yield line.strip()


def read_rows(blocks: Iterable[bytes]) -> Iterator[tuple[int, Row]]:
    """Yield each object with its number from 1: of its line, or of its place in an array."""
    return cast(Iterator[tuple[int, Row]], _read_values(blocks, (dict,), exact=True))


def is_json_lines(blocks: Iterable[bytes]) -> bool:
    """Tell JSON lines from an array and from objects over several lines."""
    is_array, blocks = _peek(blocks)
    return not is_array


def _read_values(
    blocks: Iterable[bytes], kinds: Kinds, *, exact: bool = False
) -> Iterator[tuple[int, object]]:
    """Yield each JSON value with its number; raises `UserFault` where it is not of `kinds`.

    Integers that are `exact` have as many digits as it takes.
    """
    several_lines, blocks = _peek(blocks)
    if several_lines:
        yield from _read_stream(blocks, kinds)
        return
    for number, line in enumerate(read_lines(blocks), 1):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.isspace():
                continue
            value = _parse_as_python(line, number)
        if exact and LONG_INTEGER.search(line):
            value = _parse_as_python(line, number)
        if not isinstance(value, kinds):
            _check_kind(value, kinds, f"Line {number}")
        yield number, value


def _lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    return ((n, line) for n, line in enumerate(read_lines(blocks), 1) if not line.isspace())


def _peek(blocks: Iterable[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Tell whether values are in an array or over several lines, not one a line; by the first."""
    blocks, seen, transcoder = iter(blocks), [], Transcoder()
    start = b""
    for block in blocks:
        seen.append(block)
        looked_at = len(start)
        start = (start + transcoder.feed(block)).lstrip()
        if LINE_END.search(start, looked_at) or len(start) > MAX_LINE_BYTES or start[:1] == b"[":
            break
    else:
        start = (start + transcoder.finish()).lstrip()
    again = chain(seen, blocks)
    if start.startswith(b"["):
        return True, again
    line = LINE_END.split(start, maxsplit=1)
    if len(line) < 2 or not start.startswith(b"{"):
        return False, again
    try:
        _parse(line[0].decode("utf-8", "replace"), 1)
    except UserFault:
        return True, again
    return False, again


def _read_stream(blocks: Iterable[bytes], kinds: Kinds) -> Iterator[tuple[int, object]]:
    """Yield the values of an array, or values that follow each other, holding one at a time."""
    buffer = _Buffer(blocks)
    if buffer.next_character() == "[":
        yield from _read_array(buffer, kinds)
        return
    while buffer.next_character():
        line = buffer.line
        yield line, _check_kind(buffer.next_value(f"Line {line}"), kinds, f"Line {line}")


def _read_array(buffer: "_Buffer", kinds: Kinds) -> Iterator[tuple[int, object]]:
    buffer.at += 1
    number = 0
    while (following := buffer.next_character()) != "]" or number:
        if number:
            if following not in {",", "]"}:
                reason = "no comma is before it" if following else "the array is not closed"
                raise _invalid(_place(buffer, number + 1), reason)
            if following == "]":
                break
            buffer.at += 1
            buffer.next_character()
        number += 1
        place = _place(buffer, number)
        yield number, _check_kind(buffer.next_value(place), kinds, place)
    buffer.at += 1
    if buffer.next_character():
        raise _invalid(_place(buffer, number + 1), "something follows the end of the array")


def _place(buffer: "_Buffer", number: int) -> str:
    return f"Line {buffer.line}, entry {number} of the list,"


class _Buffer:
    """Hold the part of a JSON text that is being read."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.at = 0
        self.line = 1
        self._text = ""
        self._more = _decoded(blocks)
        self._ended = False

    def next_character(self) -> str:
        """Go to the next character that is no space and return it; an empty string at the end."""
        while True:
            space = SPACE.match(self._text, self.at)
            self._go_to(space.end() if space else self.at)
            if self.at < len(self._text) or self._ended:
                return self._text[self.at : self.at + 1]
            self._fill(1)

    def next_value(self, where: str) -> object:
        """Decode the value that begins here."""
        wanted = SMALL_VALUE
        while True:
            self._fill(wanted)
            try:
                value, end = DECODER.raw_decode(self._text, self.at)
            except RecursionError as error:
                raise _invalid(where, NESTED) from error
            except json.JSONDecodeError as error:
                held = len(self._text) - self.at
                # An error well before the end of what is held is not for want of the rest.
                sure = error.pos < len(self._text) - 64 and "Unterminated" not in error.msg
                if sure or self._ended or held > MAX_LINE_BYTES:
                    raise _invalid(where, error.msg) from error
                wanted = 2 * held
                continue
            if end < len(self._text) or self._ended:
                if SURROGATES.search(self._text, self.at, end):
                    value = DECODER.decode(_without_halves(self._text[self.at : end]))
                self._go_to(end)
                return value
            wanted = 2 * (end - self.at)

    def _go_to(self, place: int) -> None:
        self.line += self._text.count("\n", self.at, place)
        self.at = place

    def _fill(self, wanted: int) -> None:
        while not self._ended and len(self._text) - self.at < wanted:
            more = next(self._more, None)
            self._ended = more is None
            self._text, self.at = self._text[self.at :] + (more or ""), 0


def _decoded(blocks: Iterable[bytes]) -> Iterator[str]:
    transcoder, decoder = Transcoder(), codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            yield decoder.decode(transcoder.feed(block))
        yield decoder.decode(transcoder.finish(), final=True)
    except UnicodeDecodeError as error:
        raise UserFault(
            "not_utf8",
            f"The corpus is not UTF-8: {error.reason}. Convert it, as with `iconv -t UTF-8`.",
        ) from error


def _parse(line: str, number: int) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return _parse_as_python(line, number)


def _parse_as_python(line: str, number: int) -> object:
    """Parse what orjson is too strict for."""
    try:
        return DECODER.decode(_without_halves(line.strip().strip("\ufeff\x1e")))
    except json.JSONDecodeError as error:
        raise _invalid(f"Line {number}", f"{error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise _invalid(f"Line {number}", NESTED) from error


def _without_halves(text: str) -> str:
    """Replace the halves of surrogate pairs, which no UTF-8 file can hold."""
    return SURROGATES.sub(lambda found: found[0] if len(found[0]) != 6 else "\\ufffd", text)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


DECODER = json.JSONDecoder(parse_int=_integer)


def _check_kind(value: object, kinds: Kinds, where: str) -> object:
    if isinstance(value, kinds):
        return value
    wanted = "an object" if dict in kinds else "a string"
    raise _invalid(where, f"a {type(value).__name__} where {wanted} is expected")


def _invalid(where: str, reason: str) -> UserFault:
    return UserFault(
        "invalid_jsonl",
        f"{where} is not a JSON object: {reason}. Put one object on each line, as in "
        '{"text": "…"}.',
    )
