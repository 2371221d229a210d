"""`fvt up`: the whole service on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from fvt_client.cli.session import end_on_sigterm

DataDir = Annotated[Path, typer.Option(help="Folder of the database, files and logs.")]


def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    data_dir: DataDir = Path("fvt-data"),
) -> None:
    """Run the service here, in the foreground: API, one worker and an embedded broker.

    Settings are read from FVT_… variables; with FVT_BROKER_URL set, that broker is used.
    """
    # What a service needs takes a second to import, for which no other command waits.
    from app.cli.local import LocalService  # noqa: PLC0415

    end_on_sigterm()
    service = LocalService(data_dir, host=host, port=port)
    try:
        with service:
            typer.echo(f"FVT Service is ready at {service.url} (Ctrl-C stops it)")
            service.watch()
    except KeyboardInterrupt:
        typer.echo("Stopped. Jobs that were queued or running go on at the next start.")
