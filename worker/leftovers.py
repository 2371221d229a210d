"""Remove what killed workers left on this machine: `python -m worker.leftovers`.

The worker's parent process starts this when it starts itself, and now and then. It cannot do it
itself: neither a thread nor a connection to the database may be open where its pool is forked.
"""

import logging
import subprocess
import sys

from app.db import Database
from app.maintenance.workspaces import remove_unused_workspaces
from app.settings import Settings, get_settings

log = logging.getLogger(__name__)


class Sweeper:
    """Runs this module in a process of its own, one at a time, where there are any."""

    def __init__(self, settings: Settings) -> None:
        self._workspaces = settings.workspaces
        self._process: subprocess.Popen[bytes] | None = None

    def sweeps(self) -> bool:
        """Tell whether its process runs; one that has ended is none any more."""
        return self._process is not None and self._process.poll() is None

    def __call__(self) -> None:
        """Begin to sweep; returns at once."""
        if self.sweeps():
            return
        if self._workspaces.is_dir() and any(self._workspaces.iterdir()):
            self._process = subprocess.Popen([sys.executable, "-m", __name__])  # noqa: S603


def main() -> None:
    """Remove the workspaces that no worker uses."""
    settings = get_settings()
    db = Database(settings.database_url)
    remove_unused_workspaces(settings.workspaces, db)
    db.close()


if __name__ == "__main__":
    main()
