"""Bound how long a call waits for the database, and tell its troubles from our own faults."""

import logging
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

log = logging.getLogger(__name__)

# SQLite's primary result codes of what lies outside the statement: a lock that is held, the disk.
_SQLITE_TROUBLES = {5, 6, 8, 10, 13, 14, 15}
_CONFLICTS = {"40001", "40P01"}
"""Serialization failure and deadlock: the transaction was undone, and works when it is repeated."""
PROBE_SECONDS = 1.0
"""Seconds after which a database that gave no answer is tried again, by one call."""

LOOK_SECONDS = 0.001

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseAwayError(Exception):
    """The database does not answer now; nothing is wrong with the call itself."""


class CommitUnknownError(DatabaseAwayError):
    """The connection ended during a commit, which the database may have done or not."""


def is_trouble(error: BaseException) -> bool:
    """Tell a database that cannot serve now from a statement that is wrong."""
    if isinstance(error, (DatabaseAwayError, PoolTimeoutError)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_TROUBLES
    return error.connection_invalidated or isinstance(error.orig, psycopg.OperationalError)


def is_silence(error: BaseException) -> bool:
    """Tell a server that cannot be reached, or gives no answer, from one that answers."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None


def is_conflict(error: BaseException) -> bool:
    """Tell a transaction that another one undid."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


class HasPatience(Protocol):
    @property
    def patience(self) -> float: ...


D = TypeVar("D", bound=HasPatience)


def retried(call: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
    """Call again where the database is in trouble, for as long as it has `patience` (seconds).

    A transaction that another one undid is repeated once in any case. `call` must be one
    transaction.
    """

    @wraps(call)
    def wrapper(db: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        give_up = time.monotonic() + db.patience
        repeated = False
        while True:
            try:
                return call(db, *args, **kwargs)
            except (DBAPIError, DatabaseAwayError, PoolTimeoutError) as error:
                again = is_conflict(error) and not repeated
                if not again and not (is_trouble(error) and time.monotonic() < give_up):
                    raise
                repeated = True
                log.warning("%s again: %s", getattr(call, "__name__", "call"), _first_line(error))
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311

    return wrapper


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


class Outage:
    """Notes that the server gives no answer, so that not every call waits to find out.

    During an outage one call at a time tries the server; the others fail at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._try_at: float | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note whether the database answered in a block that uses it."""
        try:
            yield
        except Exception as error:
            self._note(away=is_silence(error) or isinstance(error, CommitUnknownError))
            raise
        self._note(away=False)

    def check(self) -> None:
        """Raise `DatabaseAwayError` where it gave no answer a moment ago, but to one call."""
        with self._lock:
            if self._try_at is None:
                return
            if time.monotonic() < self._try_at:
                raise DatabaseAwayError("the database gave no answer a moment ago")
            self._try_at = time.monotonic() + PROBE_SECONDS

    def _note(self, *, away: bool) -> None:
        with self._lock:
            self._try_at = time.monotonic() + PROBE_SECONDS if away else None


class WriterQueue:
    """Lets the threads of a process write to SQLite one by one, in the order in which they came.

    SQLite's own waiting is by sleeps that grow, so that who came last is often served first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        self._line: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Wait for this thread's turn; raises `DatabaseAwayError` after so many seconds."""
        if not self._acquire(seconds):
            raise DatabaseAwayError("other writers held the database")
        try:
            yield
        finally:
            self._release()

    def _acquire(self, seconds: float) -> bool:
        with self._lock:
            if not self._held:
                self._held = True
                return True
            mine = threading.Event()
            self._line.append(mine)
        if mine.wait(seconds):
            return True
        with self._lock:
            if mine.is_set():
                return True
            self._line.remove(mine)
            return False

    def _release(self) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._held = False


def bounded_connection(seconds: float) -> type[psycopg.Connection[Any]]:
    """Make a class of connections on which no answer is waited for longer than `seconds`.

    A server that is frozen, or a network that drops everything, leaves no other sign.
    """

    class BoundedConnection(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            end = time.monotonic() + (seconds if timeout is None else timeout)
            try:
                return super().wait(gen, interval, end - time.monotonic())
            except psycopg.Error as error:
                if timeout is not None or error.sqlstate or time.monotonic() < end:
                    raise
                # What the server may still answer belongs to nobody now.
                self.close()
                message = f"the database gave no answer within {seconds:g} s"
                raise psycopg.OperationalError(message) from error

    return BoundedConnection


def begin_immediate(connection: Connection, seconds: float) -> None:
    """Take SQLite's write lock, looking often: it is free for a moment between two writers.

    Raises `sqlalchemy.exc.OperationalError`.
    """
    end = time.monotonic() + seconds
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while time.monotonic() < end:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(LOOK_SECONDS)
            else:
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
