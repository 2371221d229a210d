"""The one database whose rows say what a storage may hold.

A service that is started on a new, empty database by mistake would take every file of a shared
storage for one that belongs to nothing. So the storage says whose it is, and the reaper of
another database leaves it alone.
"""

from contextlib import closing

from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from app.blobs import Blobs
from app.db import Base, Database
from app.ids import new_id

MARKER = "installation"
"""The key under which a storage keeps the id of its database."""


class Installation(Base):
    """Name this database, in its one row."""

    __tablename__ = "installations"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("installation"))


def installation_id(db: Database) -> str:
    """Return the id of this database, made when it is first asked for."""
    with db.write() as session:
        row = session.scalar(select(Installation).order_by(Installation.id).limit(1))
        if row is None:
            row = Installation()
            session.add(row)
            session.flush()
        return row.id


def owner_of(blobs: Blobs) -> str | None:
    """Return the id of the database that a storage belongs to; None where it does not say."""
    try:
        with closing(blobs.reader(MARKER)) as file:
            return bytes(file.read()).decode().strip()
    except FileNotFoundError:
        return None
