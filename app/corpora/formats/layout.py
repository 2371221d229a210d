"""Tell how a corpus file is to be read: from what is asked, its content and its name."""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.contract.corpora import Compression, Format, Quoting
from app.contract.errors import UserFault
from app.corpora.formats.compression import BLOCK, compression_of, read_blocks
from app.corpora.formats.text import Transcoder

HEAD = BLOCK
PARQUET_MAGICS = (b"PAR1", b"PARE")
COMPRESSION_SUFFIXES = {".gz", ".gzip", ".zst", ".zstd"}
FORMAT_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
}
FORMAT_MEDIA_TYPES: dict[str, Format] = {
    "application/x-ndjson": "jsonl",
    "application/ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/jsonlines": "jsonl",
    "application/json": "jsonl",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/vnd.apache.parquet": "parquet",
}
DEFAULT_TEXT_FIELD = "text"
MAX_NAME = 200
WITHOUT_TEXT_FIELD = {
    "text": "plain text",
    "records": "records, whose fields the recipe of a job names",
}
JSON_LINES_LOOKED_AT = 20
JSON = json.JSONDecoder(parse_int=float)  # integers of any length
LONG_OBJECT = re.compile(r'\s*\{\s*"(?:[^"\\\n]|\\.){1,200}"\s*:')
NEXT_ENTRY = re.compile(r'\]|,\s*(["{]|null|\Z)')
ARRAY = re.compile(r'\s*\[\s*(?=[{"])')


@dataclass(frozen=True)
class Layout:
    """Say how to read a corpus file; what is None is found out from the file."""

    format: Format
    compression: Compression | None = None
    text_field: str | None = None
    delimiter: str | None = None
    quoting: Quoting | None = None


@dataclass(frozen=True)
class Hints:
    """Keep what a client says of a file, beside the file itself."""

    format: Format | None = None
    text_field: str | None = None
    filename: str | None = None
    media_type: str = ""


def detect_layout(head: bytes, whole: bool, hints: Hints) -> Layout:
    """Tell the layout from what the client asks, the first bytes, the name and the media type.

    `head` is the start of the file as sent, all of it where `whole`. Raises `UserFault`.
    """
    compression = compression_of(head)
    format_ = hints.format or _by_content(head, whole, compression)
    format_ = format_ or _by_name(hints.filename) or FORMAT_MEDIA_TYPES.get(hints.media_type)
    layout = Layout(format_ or "text", compression, hints.text_field)
    if layout.format in WITHOUT_TEXT_FIELD and hints.text_field is not None:
        raise UserFault(
            "text_field_without_fields",
            f"No field {hints.text_field!r} is read in {WITHOUT_TEXT_FIELD[layout.format]}, which "
            "is what this file is read as. Give `format` as jsonl, csv, tsv or parquet, or leave "
            "out `text_field`.",
        )
    if layout.format == "parquet" and compression:
        raise UserFault(
            "invalid_parquet",
            f"This is {compression} data, not a Parquet file. Parquet compresses by itself: send "
            "the file as it was written.",
        )
    return layout


def choose_text_field(columns: Sequence[str], text_field: str | None, where: str) -> int:
    """Return the place of the column to read: the one asked for, else `text`, else the only one.

    Spaces around a column's name do not count. Raises `UserFault`.
    """
    wanted = text_field or DEFAULT_TEXT_FIELD
    if text_field is None and len(columns) == 1:
        wanted = columns[0]
    places = [place for place, name in enumerate(columns) if name == wanted]
    places = places or [p for p, name in enumerate(columns) if name.strip() == wanted.strip()]
    if not places:
        raise missing_text_field(wanted, columns, where)
    if len(places) > 1:
        raise UserFault(
            "duplicate_text_field",
            f"{where} has {len(places)} columns of the name {wanted!r}. Rename or drop all but the "
            "one that holds the text.",
        )
    check_name(columns[places[0]])
    return places[0]


def check_name(name: str) -> None:
    """Refuse to take a field by itself whose name could not be asked for either."""
    if "\0" in name or len(name) > MAX_NAME:
        raise UserFault(
            "unusable_text_field",
            f"The field with the text is named {name[:80]!r}: names of more than {MAX_NAME} "
            "characters, or with a NUL, are not taken. Rename it, as to `text`.",
        )


def missing_text_field(wanted: str, names: Sequence[str], where: str) -> UserFault:
    """Make the fault of a column or key that is not there, naming those that are."""
    shown = ", ".join(repr(name[:80]) for name in names[:20]) or "none"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return UserFault(
        "missing_text_field",
        f"{where} has no field {wanted!r}. It has {shown}{more}. Name the field that holds the "
        "text as `text_field`.",
    )


def _by_name(filename: str | None) -> Format | None:
    path = PurePosixPath((filename or "").lower())
    if path.suffix in COMPRESSION_SUFFIXES:
        path = path.with_suffix("")
    return FORMAT_SUFFIXES.get(path.suffix)


def _by_content(head: bytes, whole: bool, compression: Compression | None) -> Format | None:
    """Tell Parquet and JSON, which nothing else looks like; a table looks like text."""
    if head.startswith(PARQUET_MAGICS):
        return "parquet"
    text = ""
    try:
        transcoder = Transcoder()
        for block in read_blocks(io.BytesIO(head), compression, None):
            text += transcoder.feed(block).decode("utf-8", "replace")
            if len(text) >= HEAD:
                whole = False
                break
        text += transcoder.finish().decode("utf-8", "replace")
    except UserFault:  # the head of an archive is a truncated archive
        whole = False
    return _by_text(text.lstrip(), whole)


def _by_text(text: str, whole: bool) -> Format | None:
    if text.startswith("{"):
        *lines, last = re.split(r"\r\n?|\n", text)
        lines = [line for line in [*lines, *([last] if whole else [])] if line.strip()]
        if lines and all(map(_is_object, lines[:JSON_LINES_LOOKED_AT])):
            return "jsonl"
        if not lines:
            return "jsonl" if LONG_OBJECT.match(text) else None
    elif not ARRAY.match(text):
        return None
    return _by_first_value(text, whole)


def _by_first_value(text: str, whole: bool) -> Format | None:
    """Tell an array, or objects over several lines, from text that begins like them."""
    start = match.end() if (match := ARRAY.match(text)) else 0
    try:
        value, end = JSON.raw_decode(text, start)
    except RecursionError:
        return "json"
    except ValueError:
        value, end = None, len(text)
    following = text[end : end + BLOCK].lstrip()
    if value is None:  # an entry longer than the head
        return "json" if not whole and LONG_OBJECT.match(text, start) else None
    if start:
        return "json" if NEXT_ENTRY.match(following) else None
    return "json" if isinstance(value, dict) and following[:1] in {"", "{"} else None


def _is_object(line: str) -> bool:
    try:
        return isinstance(JSON.decode(line.strip()), dict)
    except RecursionError:  # it is refused as JSON that is nested too deeply
        return True
    except ValueError:
        return False
