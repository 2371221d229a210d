"""Define the table of uploaded corpora."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.contract.corpora import Compression, Format, Quoting
from app.corpora.formats.layout import Layout
from app.db import Base, now
from app.ids import new_id


class Corpus(Base):
    """Keep an uploaded corpus; its bytes lie, as sent, in blob storage under `blob_key`."""

    __tablename__ = "corpora"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("corpus"))
    name: Mapped[str | None]
    format: Mapped[str]
    compression: Mapped[str | None]
    text_field: Mapped[str | None]
    delimiter: Mapped[str | None]
    quoting: Mapped[str | None]
    encoding: Mapped[str | None]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    documents: Mapped[int] = mapped_column(BigInteger)
    characters: Mapped[int] = mapped_column(BigInteger)
    skipped: Mapped[int] = mapped_column(BigInteger, default=0)
    skipped_lines: Mapped[list[Any]] = mapped_column(default=list)
    preview: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def layout(self) -> Layout:
        """Say how to read the file."""
        return Layout(
            cast(Format, self.format),
            cast(Compression | None, self.compression),
            self.text_field,
            self.delimiter,
            cast(Quoting | None, self.quoting),
        )

    @property
    def blob_prefix(self) -> str:
        return f"corpora/{self.id}"

    @property
    def blob_key(self) -> str:
        return f"{self.blob_prefix}/data"


class CorpusKey(Base):
    """Keep the key that a client gave with an upload, and what came of it."""

    __tablename__ = "corpus_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str]
    corpus_id: Mapped[str] = mapped_column(ForeignKey("corpora.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
