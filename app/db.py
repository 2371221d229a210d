"""The job store: one engine for SQLite and PostgreSQL, sessions, and column types."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import JSON, Connection, DateTime, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from app.waits import (
    CommitUnknownError,
    Outage,
    WriterQueue,
    begin_immediate,
    bounded_connection,
    retried,
)

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x465654  # "FVT": any number that nobody else locks
MIGRATION_SECONDS = 3600.0
START_SECONDS = 20.0
"""Seconds that a process which starts waits for PostgreSQL, which may be starting too."""
WAIT_SECONDS = 5.0
CONNECTIONS = 20
"""Most connections of a process to PostgreSQL, which allows 100 where nothing else is set."""
IDLE_SECONDS = 60
"""After this, a process that froze amid a transaction holds no more locks."""


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware UTC time, also where the database keeps none (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The tables; columns typed `datetime` are UTC, `dict` and `list` are JSON."""

    type_annotation_map = {  # noqa: RUF012
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


class Database:
    """Sessions on one database. `write` commits at its end; `read` never does.

    No step waits longer than about `wait` seconds for the database. What is `retried` on it is
    tried for `patience` seconds. Both raise what `app.waits.is_trouble` knows.
    """

    def __init__(self, url: str, *, wait: float = WAIT_SECONDS, patience: float = 0.0) -> None:
        self.url = url
        self.patience = patience
        self.engine = _engine(url, wait)
        self.wait = wait
        self._outage = Outage()
        self._writers = WriterQueue() if self.engine.dialect.name == "sqlite" else None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in a transaction that may write; committed unless the block raises.

        Raises `CommitUnknownError` where the connection was lost during the commit.
        """
        turn: AbstractContextManager[None] = nullcontext()
        if self._writers:
            turn = self._writers.turn(self.wait)
        with turn, self._open(fvt_write=True) as session, self._outage.watched():
            yield session
            # What fails before the commit is known not to be done.
            session.flush()
            try:
                session.commit()
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise CommitUnknownError("no answer to a commit") from error
                raise

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment of the database."""
        with self._open_patiently() as session, self._outage.watched():
            yield session

    def _open(self, **options: bool) -> Session:
        """Begin a transaction on a connection that was tried."""
        self._outage.check()
        session = Session(self.engine, expire_on_commit=False)
        try:
            with self._outage.watched():
                session.connection(execution_options=options)
        except BaseException:
            session.close()
            raise
        return session

    @retried
    def _open_patiently(self) -> Session:
        return self._open()

    def migrate(self) -> None:
        """Bring the schema to its newest version; safe to run from several processes."""
        # A SQLite file that cannot be opened now is a wrong path.
        patience = 0.0 if self._writers else START_SECONDS
        patient = Database(self.url, wait=MIGRATION_SECONDS, patience=patience)
        patient._upgrade()
        patient.close()

    @retried
    def _upgrade(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write() as session:
            config.attributes["connection"] = connection = session.connection()
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            command.upgrade(config, "head")

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str, wait: float) -> Engine:
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite(url, wait)
    # What the URL says goes before; a server on another machine may vanish without a word.
    bounds = {
        "connect_timeout": max(2, round(wait / 2)),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": int(wait * 1000),
    }
    said = make_url(url).query
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=CONNECTIONS - 5,
        pool_timeout=wait,
        connect_args={name: value for name, value in bounds.items() if name not in said},
    )
    # The server answers first where it can: then the connection lives on.
    connection_class = bounded_connection(wait + 1)

    def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        return connection_class.connect(*args, **parameters)

    def configure(connection: Any, _record: Any) -> None:
        milliseconds = int(wait * 1000)
        connection.autocommit = True
        # Not as start-up options, which PgBouncer does not take.
        connection.execute(
            f"SET statement_timeout={milliseconds}; SET lock_timeout={milliseconds}; "
            f"SET idle_in_transaction_session_timeout={IDLE_SECONDS * 1000}"
        )
        connection.autocommit = False

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", configure)
    return engine


def _sqlite(url: str, wait: float) -> Engine:
    if path := make_url(url).database:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        pool_timeout=wait,
        connect_args={"timeout": wait, "isolation_level": None},
    )

    def begin(connection: Connection) -> None:
        # The write lock at the start: a read that turns into a write cannot wait for it.
        if connection.get_execution_options().get("fvt_write"):
            begin_immediate(connection, wait)
        else:
            connection.exec_driver_sql("BEGIN")

    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", begin)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
