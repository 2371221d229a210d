"""The `fvt` command."""

from typing import Any

import typer
from typer.core import TyperGroup

from app.cli import compress, jobs, up
from app.cli.local import LocalServiceError
from app.cli.output import complain
from app.client import ClientError


class Commands(TyperGroup):
    """Foreseen errors end a command with their message and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (ClientError, LocalServiceError) as error:
            complain(str(error))
            raise typer.Exit(1) from error


cli = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Compress language models by Fast Vocabulary Transfer.",
    pretty_exceptions_show_locals=False,
)
cli.command()(up.up)
cli.command()(compress.compress)
cli.command("jobs")(jobs.list_jobs)
cli.command()(jobs.download)
cli.command()(jobs.cancel)
cli.command()(jobs.base_models)
