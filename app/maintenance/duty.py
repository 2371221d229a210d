"""A duty that one process at a time has, of all that share a database."""

from datetime import datetime, timedelta

from sqlalchemy import CursorResult, or_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Database, now


class Duty(Base):
    """Say who has a duty, and until when; afterwards anyone may take it."""

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    until: Mapped[datetime]


def take(db: Database, name: str, holder: str, length: timedelta) -> bool:
    """Take a duty, or prolong it; False where another process has it now."""
    free = or_(Duty.holder == holder, Duty.until < now())
    taken = update(Duty).where(Duty.name == name, free)
    try:
        with db.write() as session:
            result = session.execute(taken.values(holder=holder, until=now() + length))
            assert isinstance(result, CursorResult)
            if result.rowcount:
                return True
            if session.get(Duty, name):
                return False
            session.add(Duty(name=name, holder=holder, until=now() + length))
    except IntegrityError:  # two took it at once for the first time
        return False
    return True


def give_up(db: Database, name: str, holder: str) -> None:
    """Let the next one take a duty at once."""
    with db.write() as session:
        mine = (Duty.name == name, Duty.holder == holder)
        session.execute(update(Duty).where(*mine).values(until=now() - timedelta(seconds=1)))
