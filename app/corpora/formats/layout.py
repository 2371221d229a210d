"""Tell how a corpus file is to be read."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from app.contract.errors import UserFault

Format = Literal["text", "jsonl", "csv", "tsv", "parquet", "records"]
Compression = Literal["gzip", "zstd"]

HEAD = 64
PARQUET_MAGIC = b"PAR1"
COMPRESSION_MAGICS: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
COMPRESSION_SUFFIXES = {".gz", ".gzip", ".zst", ".zstd"}
FORMAT_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
DEFAULT_TEXT_FIELD = "text"
WITHOUT_TEXT_FIELD = {
    "text": "plain text",
    "records": "records, whose fields the recipe of a job names",
}


@dataclass(frozen=True)
class Layout:
    """Say how to read a corpus file."""

    format: Format
    compression: Compression | None = None
    text_field: str | None = None


def detect_layout(
    head: bytes, asked: Format | None, text_field: str | None, filename: str | None
) -> Layout:
    """Tell the layout from what the client asks, else from the first bytes, else from the name."""
    magics = COMPRESSION_MAGICS.items()
    compression = next((name for magic, name in magics if head.startswith(magic)), None)
    by_content: Format | None = "parquet" if head.startswith(PARQUET_MAGIC) else None
    layout = Layout(asked or by_content or _by_name(filename), compression, text_field)
    if layout.format in WITHOUT_TEXT_FIELD and text_field is not None:
        raise UserFault(
            "text_field_without_fields",
            f"No field {text_field!r} is read in {WITHOUT_TEXT_FIELD[layout.format]}, which is "
            "what this file is read as. Give `format` as jsonl, csv, tsv or parquet, or leave out "
            "`text_field`.",
        )
    if layout.format == "parquet" and compression:
        raise UserFault(
            "invalid_parquet",
            f"This is {compression} data, not a Parquet file. Parquet compresses by itself: send "
            "the file as it was written.",
        )
    return layout


def choose_text_field(columns: list[str], text_field: str | None) -> str:
    """Choose the column to read: the one asked for, else `text`, else the only one."""
    wanted = text_field or DEFAULT_TEXT_FIELD
    if text_field is None and len(columns) == 1:
        wanted = columns[0]
    if wanted not in columns:
        raise missing_text_field(wanted, columns, "The file")
    return wanted


def missing_text_field(wanted: str, names: list[str], where: str) -> UserFault:
    """Make the fault of a column or key that is not there, naming those that are."""
    shown = ", ".join(repr(name[:80]) for name in names[:20]) or "none"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return UserFault(
        "missing_text_field",
        f"{where} has no field {wanted!r}. It has {shown}{more}. Name the field that holds the "
        "text as `text_field`.",
    )


def _by_name(filename: str | None) -> Format:
    path = PurePosixPath((filename or "").lower())
    if path.suffix in COMPRESSION_SUFFIXES:
        path = path.with_suffix("")
    return FORMAT_SUFFIXES.get(path.suffix, "text")
