"""Send the table to a service of its own and print it: `python -m tests.hostile [SUBJECT …]`."""

import sys
import tempfile
from pathlib import Path

from tests.hostile.table import SUBJECTS, as_text, run_table
from tests.hostile.world import running_world


def main() -> int:
    """Return how many answers were wrong."""
    with tempfile.TemporaryDirectory() as folder, running_world(Path(folder)) as world:
        outcome = run_table(world, sys.argv[1:] or tuple(SUBJECTS))
    print(as_text(outcome))
    return min(len(outcome.wrong), 100)


if __name__ == "__main__":
    sys.exit(main())
