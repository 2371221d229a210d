"""Describe corpora as clients see them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.corpora.documents import Compression, Format
from app.ids import PRINTABLE


class CorpusOptions(BaseModel):
    """Say how an upload is to be read, as form fields or query parameters."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        None, max_length=200, pattern=PRINTABLE, description="A name for people"
    )
    format: Format | None = Field(
        None,
        description="Told from the first bytes and the file name when left out, else `text`; "
        "`records` are JSON objects of any fields, a line each: labelled data for a task",
    )
    text_field: str | None = Field(
        None,
        max_length=200,
        pattern=PRINTABLE,
        description="The key or column that holds the text; when left out, `text` or the only one",
    )


class CorpusOut(BaseModel):
    """Describe an uploaded corpus."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "object": "corpus",
                    "id": "corpus_06c9zt3v5e8q1w7r2y4u6p0a9s",
                    "name": "discharge letters",
                    "format": "jsonl",
                    "compression": "gzip",
                    "text_field": "text",
                    "bytes": 1_048_576,
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "documents": 12_000,
                    "characters": 3_400_000,
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
        description="The key or column that is read; null for text, records"
    )
    bytes: int = Field(description="Of the file as sent")
    sha256: str = Field(description="Of the file as sent")
    documents: int = Field(description="Lines, or rows, that hold text; of records, objects")
    characters: int = Field(description="Unicode characters of all documents")
    created_at: datetime
