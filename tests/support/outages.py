"""Outages of a database: a lock that is held, and a server that is frozen."""

import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from app.db import Database
from tests.support.postgres import binaries, fresh_database, private_cluster


@contextmanager
def write_lock(db: Database) -> Iterator[None]:
    """Hold SQLite's write lock, as another process does."""
    connection = sqlite3.connect(str(db.engine.url.database), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@dataclass(frozen=True)
class OwnPostgres:
    """A PostgreSQL of one test, with a database in it."""

    url: str
    folder: Path

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes; its kernel still takes connections and bytes."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        stopped = [server, *server.children(recursive=True)]
        try:
            for process in stopped:
                process.send_signal(signal.SIGSTOP)
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A private server, which may be frozen; skips where there is none."""
    bin_folder = binaries()
    if bin_folder is None or "FVT_TEST_POSTGRES_URL" in os.environ:
        pytest.skip("PostgreSQL is not installed here")
    with tempfile.TemporaryDirectory(prefix="fvt-pg-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with private_cluster(folder, bin_folder) as server, fresh_database(server) as url:
            yield OwnPostgres(url, folder)
