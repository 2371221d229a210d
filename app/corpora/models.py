"""The table of uploaded corpora."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, now
from app.ids import new_id


class Corpus(Base):
    """An uploaded corpus; its bytes lie, as sent, in blob storage under `blob_key`."""

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
    def blob_key(self) -> str:
        return f"corpora/{self.id}/data"
