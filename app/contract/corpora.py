"""Corpora on the wire, and the words for how their files are read."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Format = Literal["text", "jsonl", "json", "csv", "tsv", "parquet", "records"]
# How a quoted field writes a quotation mark; `none` where fields are not quoted.
Quoting = Literal["doubled", "backslash", "none"]
Compression = Literal["gzip", "zstd"]


class CorpusView(BaseModel):
    """Describe an uploaded corpus."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "object": "corpus",
                    "id": "corpus_06c9zt3v5e8q1w7r2y4u6p0a9s",
                    "name": "discharge letters",
                    "format": "csv",
                    "compression": "gzip",
                    "text_field": "text",
                    "bytes": 1_048_576,
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "delimiter": ";",
                    "quoting": "doubled",
                    "encoding": "utf-8",
                    "documents": 12_000,
                    "characters": 3_400_000,
                    "skipped": 2,
                    "skipped_lines": [17, 4011],
                    "preview": ["Fever since yesterday, no rash.", "Discharged without findings."],
                    "created_at": "2026-01-01T12:00:00Z",
                }
            ]
        },
    )

    object: Literal["corpus"] = "corpus"
    id: str
    name: str | None
    format: Format
    compression: Compression | None
    text_field: str | None = Field(
        description="The key or column that is read; null for text, records, JSON strings, and a "
        "table of one column without a header"
    )
    delimiter: str | None = Field(description="Between the columns of csv, tsv; else null")
    quoting: Quoting | None = Field(
        description="How csv, tsv write a quotation mark in a quoted field; `none` where marks are "
        "read as written"
    )
    encoding: str | None = Field(description="Of the text, once decompressed; null for parquet")
    bytes: int = Field(description="Of the file as sent")
    sha256: str = Field(description="Of the file as sent")
    documents: int = Field(description="Lines, or rows, that hold text; of records, objects")
    skipped: int = Field(description="Rows passed over, since their text is missing, null or blank")
    skipped_lines: list[int] = Field(
        description="Where the first of them are: numbers of lines, in Parquet of rows, in a JSON "
        "array of entries"
    )
    preview: list[str] = Field(description="The first documents as they were read, cut short")
    characters: int = Field(description="Unicode characters of all documents")
    created_at: datetime
