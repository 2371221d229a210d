"""The `fvt` command, which needs the extra `cli`."""

import sys


def main() -> None:
    """Run the command line; says what to install where its libraries are missing."""
    try:
        from .main import cli  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit("`fvt` needs typer and rich: pip install 'fvt-client[cli]'.")
    cli(prog_name="fvt")
