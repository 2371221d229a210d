"""Run the chaos suite: `python -m tests.chaos --database sqlite --jobs 200 --seed 1`.

Without a database it runs on both. The exit code is 1 where anything is that must not be.
"""

import argparse
import sys
from pathlib import Path

from fvt_client.cli.session import end_on_sigterm
from tests.chaos.databases import DATABASES
from tests.chaos.run import run
from tests.chaos.table import details, tables


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two faults")
    parser.add_argument("--end", type=float, default=400.0, help="seconds for the last jobs to end")
    parser.add_argument("--out", type=Path, help="file to write the tables to")
    parser.add_argument("--logs", type=Path, help="folder to keep the logs in")
    given = parser.parse_args()
    end_on_sigterm()
    outcomes = {}
    for database in given.database or DATABASES:
        outcomes[database] = outcome = run(
            database,
            given.jobs,
            given.seed,
            workers=given.workers,
            mean_seconds=given.every,
            end_seconds=given.end,
            logs=given.logs and given.logs / database,
        )
        print(f"{database}, seed {given.seed}:\n{details(outcome)}\n", flush=True)
    text = tables(outcomes)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    return 1 if any(outcome.broken for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
