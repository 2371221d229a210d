"""The part that starts a service on this machine: there where `fvt-service` is installed.

That distribution names an object at the entry point `fvt_client.local`.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, Protocol, cast

import typer

from ..errors import FvtError
from .model_folder import ModelFolder

GROUP = "fvt_client.local"
SERVICE_NEEDED = (
    "There is no service to ask: give --url (or FVT_URL), or install one here: "
    "pip install 'fvt-service[worker,local]'."
)


@dataclass(frozen=True)
class Check:
    """Something that `fvt doctor` looked at; `cure` is the line that mends it."""

    name: str
    state: Literal["ok", "note", "fault"]
    found: str
    cure: str = ""


@dataclass(frozen=True)
class LocalService:
    """A service that runs on this machine, for one command alone."""

    url: str
    api_key: str
    check: Callable[[], None]
    """Raises where one of its processes has ended."""


class LocalInstallation(Protocol):
    """Tell what the service distribution adds to the command line."""

    def add_commands(self, cli: typer.Typer) -> None:
        """Add its commands."""

    def start(
        self, data_dir: Path, model: ModelFolder | None
    ) -> AbstractContextManager[LocalService]:
        """Run a service while the block runs, which has `model` among its base models."""
        ...

    def checks(self, data_dir: Path) -> Iterable[Check]:
        """Look at what the service needs here."""
        ...


def installation() -> LocalInstallation | None:
    """Return the service distribution's part; None where it is not installed."""
    for entry in entry_points(group=GROUP):
        return cast(LocalInstallation, entry.load())
    return None


def needed() -> LocalInstallation:
    """Return the service distribution's part; raises FvtError."""
    found = installation()
    if found is None:
        raise FvtError(SERVICE_NEEDED)
    return found
