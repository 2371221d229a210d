"""Define the table of uploaded corpora."""

from datetime import datetime
from typing import cast

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.corpora.formats.layout import Compression, Format, Layout
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
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    documents: Mapped[int] = mapped_column(BigInteger)
    characters: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def layout(self) -> Layout:
        """Say how to read the file."""
        return Layout(
            cast(Format, self.format), cast(Compression | None, self.compression), self.text_field
        )

    @property
    def blob_prefix(self) -> str:
        return f"corpora/{self.id}"

    @property
    def blob_key(self) -> str:
        return f"{self.blob_prefix}/data"
