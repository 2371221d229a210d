"""A private PostgreSQL, where its binaries are installed or `FVT_TEST_POSTGRES_URL` names one."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url

SERVER = Path("/usr/lib/postgresql")
SETTINGS = "-c listen_addresses='' -c fsync=off -c max_connections=200"


def binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: Debian keeps them off the PATH."""
    found = sorted(SERVER.glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Cluster:
    """A server on a Unix socket in `folder`; as root it runs as the user `postgres`."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder = folder
        self.url = f"postgresql+psycopg://fvt@/postgres?host={folder}"
        self._bin = bin_folder
        self._options = f"{SETTINGS} -c unix_socket_directories={folder}"
        self._user = "postgres" if os.geteuid() == 0 else None

    def create(self) -> None:
        """Make the empty cluster."""
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "--auth=trust", "--username=fvt", "--no-sync", "--encoding=UTF8")

    def start(self) -> None:
        """Start the server; it answers afterwards."""
        log = f"--log={self.folder / 'log'}"
        self._run("pg_ctl", "start", "--wait", "--silent", log, f"--options={self._options}")

    def trust(self, addresses: str) -> None:
        """Let in whoever comes from a range of addresses; before the start."""
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {addresses} trust\n")

    def command(self, host: str) -> list[str]:
        """The server as one command that stays, on an address too."""
        as_user = ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups"]
        options = f"{self._options} -c listen_addresses={host}".split()
        server = [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *options]
        return [*(as_user if self._user else ()), *server]

    def stop(self) -> None:
        """End the server at once; nothing where it does not run."""
        if self.pid_file.exists():
            self._run("pg_ctl", "stop", "--mode=immediate", "--silent")

    @property
    def pid_file(self) -> Path:
        """The file whose first line is the id of the server's first process, while there is one."""
        return self.folder / "data" / "postmaster.pid"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(
            command, user=self._user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL
        )


@contextmanager
def private_cluster(folder: Path, bin_folder: Path) -> Iterator[str]:
    """The URL of a server in `folder` that runs until the block ends."""
    cluster = Cluster(folder, bin_folder)
    cluster.create()
    cluster.start()
    try:
        yield cluster.url
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server on which databases can be made; skips where there is none."""
    if url := os.environ.get("FVT_TEST_POSTGRES_URL"):
        yield url
        return
    bin_folder = binaries()
    if bin_folder is None:
        pytest.skip("PostgreSQL is not installed")
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="fvt-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with private_cluster(Path(folder), bin_folder) as url:
            yield url


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database on the server."""
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    name = f"fvt_{uuid4().hex}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()
