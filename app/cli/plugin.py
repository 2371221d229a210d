"""Add to `fvt` a service on this machine, and a look at what it needs.

Every `fvt` imports this file, so what takes long to import is imported when it is used.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import typer

from app.cli import up
from fvt_client.cli import local
from fvt_client.cli.model_folder import ModelFolder


class Installation:
    """The service distribution, as `fvt_client.cli.local` wants it."""

    def add_commands(self, cli: typer.Typer) -> None:
        """Add `fvt up`."""
        cli.command()(up.up)

    @contextmanager
    def start(self, data_dir: Path, model: ModelFolder | None) -> Iterator[local.LocalService]:
        """Run a service on a free port, for whoever has the key, while the block runs."""
        from app.cli.local import LocalService  # noqa: PLC0415
        from app.cli.served_folder import served  # noqa: PLC0415

        key = secrets.token_urlsafe(24)
        with ExitStack() as stack:
            data_dir = data_dir.absolute()
            models_dir = stack.enter_context(served(model, data_dir)) if model else None
            service = stack.enter_context(
                LocalService(
                    data_dir,
                    port=0,
                    api_key=key,
                    models_dir=models_dir,
                )
            )
            yield local.LocalService(service.url, key, service.check)

    def checks(self, data_dir: Path) -> Iterator[local.Check]:
        """Look at what the service needs on this machine."""
        from app.cli.checks import all_checks  # noqa: PLC0415

        return all_checks(data_dir)


installation = Installation()
