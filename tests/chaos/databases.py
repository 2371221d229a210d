"""The two databases under faults: SQLite in a file, PostgreSQL as a server of its own."""

import signal
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from tests.chaos.processes import signal_all
from tests.support.postgres import Cluster, binaries


class SQLiteFile:
    """A database file in the data folder. Its fault is a process that keeps the write lock."""

    faults = ("frozen",)

    def __init__(self, folder: Path) -> None:
        self._file = folder / "data" / "fvt.db"
        self.url = f"sqlite:///{self._file}"
        self._healed = threading.Event()
        self._holder: threading.Thread | None = None

    def start(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def freeze(self) -> None:
        """Hold the write lock until `thaw`."""
        self._healed.clear()
        self._holder = threading.Thread(target=self._hold)
        self._holder.start()

    def _hold(self) -> None:
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        with suppress(sqlite3.OperationalError):
            connection.execute("BEGIN IMMEDIATE")
            self._healed.wait()
        connection.close()

    def thaw(self) -> None:
        self._healed.set()
        if self._holder:
            self._holder.join()

    def kill(self) -> None:
        raise NotImplementedError("there is no server")

    def restart(self) -> None:
        """Nothing: there is no server."""

    def stop(self) -> None:
        self.thaw()


class PostgresServer:
    """A server whose every process is killed or frozen."""

    faults = ("killed", "frozen")

    def __init__(self, folder: Path) -> None:
        bin_folder = binaries()
        assert bin_folder, "PostgreSQL is not installed"
        (folder / "pg").mkdir()
        self._cluster = Cluster(folder / "pg", bin_folder)
        self.url = self._cluster.url
        self._frozen: list[psutil.Process] = []

    def start(self) -> None:
        self._cluster.create()
        self._cluster.start()

    def _family(self) -> list[psutil.Process]:
        pid = int(self._cluster.pid_file.read_text().split()[0])
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]

    def freeze(self) -> None:
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            self._frozen = self._family()
            signal_all(self._frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        signal_all(self._frozen, signal.SIGCONT)
        self._frozen = []

    def kill(self) -> None:
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            family = self._family()
            signal_all(family, signal.SIGKILL)
            psutil.wait_procs(family, timeout=10)

    def restart(self) -> None:
        """Start the server unless it runs; it recovers from its log."""
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            if self._family():
                return
        self._cluster.start()

    def stop(self) -> None:
        self.thaw()
        self._cluster.stop()


AnyDatabase = SQLiteFile | PostgresServer
DATABASES: dict[str, type[SQLiteFile] | type[PostgresServer]] = {
    "sqlite": SQLiteFile,
    "postgresql": PostgresServer,
}
