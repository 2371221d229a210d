"""Run `fvt` as `python -m fvt_client.cli`."""

from . import main

main()
