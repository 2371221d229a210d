"""The `fvt` command."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._version import __version__
from ..errors import FvtError
from . import compress, doctor, jobs, models, results
from .local import installation
from .options import EXIT_CODES, ExitCode
from .output import complain


class Commands(TyperGroup):
    """Foreseen errors end a command with their message and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (FvtError, TimeoutError) as error:
            complain(error)
            raise typer.Exit(ExitCode.ERROR) from error


cli = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Compress language models by Fast Vocabulary Transfer.",
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fvt {__version__}")
        raise typer.Exit


@cli.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


cli.command()(compress.compress)
cli.command()(models.estimate)
cli.command("jobs")(jobs.list_jobs)
cli.command("show")(jobs.show_job)
cli.command()(jobs.watch)
cli.command()(jobs.logs)
cli.command()(results.report)
cli.command("open")(results.open_report)
cli.command()(results.download)
cli.command()(results.verify)
cli.command()(jobs.cancel)
cli.command()(jobs.delete)
cli.command()(models.models)
# Its name until 0.2.
cli.command("base-models", hidden=True)(models.models)
cli.command()(doctor.doctor)
if local := installation():
    local.add_commands(cli)
