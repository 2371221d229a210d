"""Read CSV and TSV with a header row: a document is the text column of a row.

The delimiter is told from the first rows, and whether fields are quoted from all of them.
"""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol, TypeVar

from app.contract.errors import UserFault
from app.corpora.formats.layout import DEFAULT_TEXT_FIELD, Layout, choose_text_field
from app.corpora.formats.skipped import Skipped
from app.corpora.formats.text import MAX_LINE_BYTES

USUAL = {"csv": ",", "tsv": "\t"}
DELIMITERS = (",", ";", "\t", "|")
LINES_LOOKED_AT = 200
CHARACTERS_LOOKED_AT = 1 << 18
SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*')
NO_DELIMITER = re.compile(r"[\w\s\-.'\"()/\\]")
BACKSLASHED = re.compile(r'\\([\\"])')
NUMBER = re.compile(r"\s*-?\d+(?:[.,]\d+)?\s*")
QUOTED = re.compile(r'"(?:[^"]|"")*"')
MAX_HEADER, MAX_HEADER_WORDS = 80, 6

csv.field_size_limit(MAX_LINE_BYTES)

Lines = Iterator[str]
T = TypeVar("T")


@dataclass
class Table:
    """Say how the rows of a table are cut, and which column is read."""

    delimiter: str
    width: int
    place: int
    before: int
    """Lines before the rows."""


@dataclass
class Shape:
    """Keep what a pass over a table shows of whether it is quoted."""

    even: bool = True
    """Each line by itself has as many delimiters as the header."""
    spans: bool = False
    """Some row took several lines."""
    marks: bool = False
    """There is a quotation mark at all."""
    delimiters: int = 0
    """Delimiters of the header."""
    backslashed: bool = False
    """Some quotation mark follows a backslash."""


def find_delimiter(lines: Lines, layout: Layout) -> str:
    """Find the delimiter by the first rows; raises `UserFault` where it is unclear."""
    sample, held = [], 0
    for line in lines:
        sample.append(line)
        held += len(line)
        if len(sample) >= LINES_LOOKED_AT or held >= CHARACTERS_LOOKED_AT:
            break
    sample = [line for line in sample if line.strip("\r\n")]
    usual = USUAL[layout.format]
    if not sample:
        return usual
    if said := SEP_LINE.fullmatch(sample[0]):
        return said[1]
    others = dict.fromkeys(c for c in sample[0] if not NO_DELIMITER.match(c))
    guesses = [_Guess.of(sample, d, layout) for d in dict.fromkeys((usual, *DELIMITERS, *others))]
    guesses = [guess for guess in guesses if guess.width > 1]
    likely = [guess for guess in guesses if guess.is_likely]
    if likely:
        return max(likely, key=lambda guess: guess.likelihood).delimiter
    known = [guess.delimiter for guess in guesses if guess.delimiter in DELIMITERS]
    if known and usual not in known:
        raise UserFault(
            "unclear_delimiter",
            f"The first row, {sample[0].strip()[:80]!r}, looks like columns separated by "
            f"{known[0]!r}, but most rows do not have as many. Write the table with the delimiter "
            f"{usual!r}, and quote fields that hold it.",
        )
    return usual


@dataclass(frozen=True)
class _Guess:
    """Rate a delimiter by how it cuts the first rows."""

    delimiter: str
    width: int
    share: float
    """Of the rows, those as wide as the header."""
    rows: int
    named: bool
    """The header has the wanted column."""
    usual: bool

    @classmethod
    def of(cls, sample: list[str], delimiter: str, layout: Layout) -> "_Guess":
        wanted = (layout.text_field or DEFAULT_TEXT_FIELD).strip()
        quoted = [row for row in csv.reader(sample, delimiter=delimiter) if row]
        plain = [line.rstrip("\r\n").split(delimiter) for line in sample]
        shares = []
        for rows in (quoted, plain):
            fitting = sum(len(row) == len(rows[0]) for row in rows[1:])
            # The sample may end within a quoted field, which spoils its last row.
            shares.append(fitting / max(len(rows) - 1 - (rows is quoted), 1) if rows[1:] else 1.0)
        rows = quoted if shares[0] >= shares[1] else plain
        return cls(
            delimiter,
            width=len(rows[0]),
            share=min(max(shares), 1.0),
            rows=len(rows) - 1,
            named=wanted in [name.strip().strip('"') for name in rows[0]],
            usual=delimiter == USUAL[layout.format],
        )

    @property
    def is_likely(self) -> bool:
        if self.delimiter in DELIMITERS:
            return self.named or self.share > 0.5
        return self.share == 1.0 and (self.named or self.rows > 1)

    @property
    def likelihood(self) -> tuple[object, ...]:
        return (
            self.named,
            self.delimiter in DELIMITERS,
            self.share,
            self.usual,
            self.width,
            -DELIMITERS.index(self.delimiter) if self.delimiter in DELIMITERS else 0,
        )


def find_quoting(
    lines: Callable[[], Lines], layout: Layout, read: Callable[[Layout, Shape], T]
) -> T:
    """Find how a table of a known delimiter is quoted, by reading all of it with `read`.

    RFC 4180 is tried first, then backslashes before the marks, as Spark and MySQL write them, then
    no quoting at all. Returns what `read` gave for the layout that fits.
    """
    shape = Shape()
    doubled = replace(layout, quoting="doubled")
    backslash, none = replace(layout, quoting="backslash"), replace(layout, quoting="none")
    try:
        result = read(doubled, shape)
    except UserFault as fault:
        if fault.code != "invalid_csv":
            raise
        if shape.backslashed:
            with suppress(UserFault):
                return read(backslash, Shape())
        if shape.marks and _is_plain(lines(), layout, failed=True):
            return read(none, Shape())
        raise
    in_doubt = shape.marks and shape.even and (shape.spans or layout.delimiter == "\t")
    if in_doubt and _is_plain(lines(), layout, spans=shape.spans):
        return read(none, Shape())
    return result


def read_delimited(
    lines: Lines, layout: Layout, skipped: Skipped, shape: Shape | None = None
) -> tuple[str | None, Iterator[str]]:
    """Return the column that is read, and its values, by the layout's delimiter and quoting.

    A table of one column whose first row is no name has no header: the name is then None. What is
    seen of the table is noted in `shape`.
    """
    delimiter = layout.delimiter or USUAL[layout.format]
    before, first = _first_line(lines)
    if not first:
        return layout.text_field, iter(())
    spaced = first.count(delimiter) == first.count(delimiter + " ") > 0
    if shape:
        shape.delimiters = first.count(delimiter)
        lines = _watched(lines, shape, delimiter)
    pulled: list[str] = []
    header_reader = _reader(_kept(chain([first], lines), pulled), layout, delimiter, spaced)
    try:
        header = next(header_reader, [])
    except csv.Error as error:
        raise _invalid(f"line {before + 1}: {error}", delimiter) from error
    table = Table(delimiter, len(header), 0, before)
    if len(header) == 1 and layout.text_field is None and not _is_name(header[0]):
        lines = chain(pulled, lines)
        return None, _values(_reader(lines, layout, delimiter, spaced), table, skipped, shape)
    where = f"The table, with columns separated by {delimiter!r},"
    table.place = choose_text_field(header, layout.text_field, where)
    table.before += len(pulled)
    values = _values(_reader(lines, layout, delimiter, spaced), table, skipped, shape)
    return header[table.place], values


def _values(
    reader: "RowReader", table: Table, skipped: Skipped, shape: Shape | None
) -> Iterator[str]:
    width, place, rows = table.width, table.place, 0
    try:
        for row in reader:
            rows += 1
            if len(row) == width:
                text = row[place]
                if text and not text.isspace():
                    yield text
                elif any(map(str.strip, row)):  # else it is as a blank line
                    skipped.add(table.before + reader.line_num, "blank")
            elif row:
                raise _invalid(
                    f"the row that ends on line {table.before + reader.line_num} has {len(row)} "
                    f"fields, the header {width}",
                    table.delimiter,
                )
    except csv.Error as error:
        line = table.before + reader.line_num
        raise _invalid(f"line {line}: {error}", table.delimiter) from error
    if shape:
        shape.spans = reader.line_num > rows


class RowReader(Protocol):
    """Cut lines into rows, as `csv.reader` does; `line_num` counts the lines that were read."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class _PlainReader:
    """Cut each line at each delimiter."""

    def __init__(self, lines: Lines, delimiter: str) -> None:
        self.line_num = 0
        self._lines, self._delimiter = lines, delimiter

    def __iter__(self) -> "_PlainReader":
        return self

    def __next__(self) -> list[str]:
        line = next(self._lines).rstrip("\r\n")
        self.line_num += 1
        return line.split(self._delimiter) if line else []


def _reader(lines: Lines, layout: Layout, delimiter: str, spaced: bool) -> RowReader:
    if layout.quoting == "none":
        return _PlainReader(lines, delimiter)
    if layout.quoting == "backslash":
        lines = (BACKSLASHED.sub(_doubled, line) for line in lines)
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaced)


def _doubled(found: re.Match[str]) -> str:
    return '""' if found[1] == '"' else "\\"


def _first_line(lines: Lines) -> tuple[int, str]:
    """Return the first line of the table and how many come before it: blank ones, and `sep=;`."""
    for number, line in enumerate(lines):
        if line.strip("\r\n") and not SEP_LINE.fullmatch(line):
            return number, line
    return 0, ""


def _kept(lines: Lines, kept: list[str]) -> Lines:
    for line in lines:
        kept.append(line)
        yield line


def _watched(lines: Lines, shape: Shape, delimiter: str) -> Lines:
    for line in lines:
        if shape.even and line.count(delimiter) != shape.delimiters and line.strip("\r\n"):
            shape.even = False
        if '"' in line:
            shape.marks = True
            shape.backslashed = shape.backslashed or '\\"' in line
        yield line


def _is_name(cell: str) -> bool:
    """Tell the name of a column from a first document."""
    short = len(cell) <= MAX_HEADER and len(cell.split()) <= MAX_HEADER_WORDS
    return short and cell.rstrip()[-1:] not in set(".!?") and "\n" not in cell


def _is_plain(lines: Lines, layout: Layout, *, spans: bool = False, failed: bool = False) -> bool:
    """Tell by every line whether quotation marks are text, in a table that could be read so.

    `failed` says that it cannot be read as quoted, `spans` that rows then take several lines. Tabs
    are rare in text, so lines with as many as the header are taken for rows; with other delimiters
    more has to speak for it.
    """
    delimiter = layout.delimiter or USUAL[layout.format]
    tab = delimiter == "\t"
    _, first = _first_line(lines)
    header = first.rstrip("\r\n").split(delimiter)
    width = len(header)
    if (width == 1 and not (tab and failed)) or all(map(QUOTED.fullmatch, header)):
        return False
    marks = _Marks(width)
    for fields in _PlainReader(lines, delimiter):
        if len(fields) not in {0, width}:
            return False
        marks.look_at(fields)
    if failed:
        return tab or marks.broken > sum(marks.quoted)
    if spans:
        # Where rows are cut in two, a column of numbers has other things among them.
        whole, partly = marks.rows in marks.numbers, max(marks.numbers) * 2 >= marks.rows
        return whole or (tab and not partly)
    return tab and marks.are_text


class _Marks:
    """Count the quotation marks around fields, column by column."""

    def __init__(self, width: int) -> None:
        self.rows = self.needed = self.broken = 0
        self.quoted, self.filled, self.numbers = [0] * width, [0] * width, [0] * width

    def look_at(self, fields: list[str]) -> None:
        """Count a row."""
        self.rows += bool(fields)
        for place, field in enumerate(fields):
            self.filled[place] += bool(field)
            self.numbers[place] += bool(NUMBER.fullmatch(field))
            if QUOTED.fullmatch(field):
                self.quoted[place] += 1
                self.needed += '"' in field[1:-1]
            else:
                self.broken += field.startswith('"')

    @property
    def are_text(self) -> bool:
        """Tell whether no writer would have quoted some fields, and not others, in this way.

        One that quotes where it must would not have quoted these; one that quotes always would
        have quoted the others.
        """
        columns = zip(self.quoted, self.filled, strict=True)
        return not self.needed and any(0 < quoted < filled for quoted, filled in columns)


def _invalid(reason: str, delimiter: str) -> UserFault:
    return UserFault(
        "invalid_csv",
        f"The table is malformed: {reason}. The delimiter was taken to be {delimiter!r}. Quote "
        "fields that hold it, a quote or a line break, and double the quotes within them.",
    )
