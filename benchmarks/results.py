"""The figures that benchmarks record, and the page that is made of them.

    python -m benchmarks.results            writes the recorded figures into docs/benchmarks.md
    python -m benchmarks.results --check    compares them, and fails where they differ

A benchmark that is run with `--record` calls `record`, which puts its figures into
`benchmarks/RESULTS.md`, a row each: nobody writes that file by hand. A row takes the place of an
older one of the same command, figure and machine; git has what was there before.
"""

import fcntl
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
PAGE = ROOT / "docs" / "benchmarks.md"
FLAG = "--record"
BEGIN, END = "<!-- recorded figures -->", "<!-- end of recorded figures -->"
HEAD = """# Recorded figures

Written by the benchmarks with `--record` (`benchmarks/results.py`), never by hand.

"""
# Between pipes that no backslash escapes.
CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Figure:
    """A figure of one run; `commit` ends with `+` where files of the tree were changed."""

    command: str
    machine: str
    date: str
    commit: str
    figure: str
    value: str

    @property
    def run(self) -> tuple[str, str, str, str]:
        """Return what the figures of one run share."""
        return self.command, self.machine, self.date, self.commit


def take_flag(arguments: list[str]) -> bool:
    """Remove `--record` from the arguments; returns whether it was there."""
    asked = FLAG in arguments
    while FLAG in arguments:
        arguments.remove(FLAG)
    return asked


def record(figures: Mapping[str, object], command: str = "", results: Path = RESULTS) -> None:
    """Put figures, each by its name with its unit, into the file of results.

    `command` is how they were made, by default this process's own command line.
    """
    command = command or own_command(sys.orig_argv)
    today = datetime.now(tz=UTC).date().isoformat()
    run = (command, machine(), today, commit())
    new = [Figure(*run, name, str(value)) for name, value in figures.items()]
    replaced = {(row.command, row.figure, row.machine) for row in new}
    with results.open("a") as file:
        # Benchmarks that run side by side end at the same time.
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = [
            row for row in read(results) if (row.command, row.figure, row.machine) not in replaced
        ]
        # In one order, so that a change of one run changes its rows alone; figures stay in theirs.
        rows = sorted([*kept, *new], key=lambda row: row.run)
        table = _table([f.name for f in fields(Figure)], map(astuple, rows))
        results.write_text(HEAD + table, "utf-8")


def read(results: Path = RESULTS) -> list[Figure]:
    """Return the figures of a file; raises ValueError for a row that `record` did not write."""
    lines = [line for line in results.read_text("utf-8").splitlines() if line.startswith("|")]
    rows = []
    for line in lines[2:]:
        cells = [cell.strip().replace("\\|", "|") for cell in CELL.split(line)[1:-1]]
        if len(cells) != len(fields(Figure)):
            raise ValueError(f"{results.name}: {line!r} has not one cell a column")
        rows.append(Figure(*cells))
    return rows


def own_command(argv: Sequence[str]) -> str:
    """Return a command line as others would type it: no path of this machine, no `--record`."""
    parts = [part for part in argv[1:] if part != FLAG]
    return " ".join(["python", *(Path(p).name if Path(p).is_absolute() else p for p in parts)])


def machine() -> str:
    """Say what the figures were measured on: system, cores that may be used, CPU, GPU, load.

    A load above the cores means that other work ran at the same time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    said = [f"{platform.system()} {platform.machine()}", f"{cores} cores of {_cpu()}", *_gpus()]
    busy = "busy" if os.getloadavg()[0] > (cores or 1) + 1 else "quiet"
    return ", ".join([*said, busy])


def _cpu() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or "an unknown CPU"
    found = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return " ".join(found[1].split()) if found else "an unknown CPU"


def _gpus() -> list[str]:
    """Return the GPUs of a benchmark that has torch, else none: they took no part."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def commit() -> str:
    """Return the revision that was measured."""
    found = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{RESULTS.name}")
    return (found or "unknown") + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def rendered(figures: Iterable[Figure]) -> str:
    """Return the section of the page: a table a run."""
    parts = [_run_section(run, list(rows)) for run, rows in groupby(figures, lambda row: row.run)]
    return "\n".join(parts) or "No figure is recorded yet: run a benchmark with `--record`.\n"


def _run_section(run: tuple[str, str, str, str], rows: Sequence[Figure]) -> str:
    command, where, date, revision = run
    table = _table(("figure", "value"), ((row.figure, row.value) for row in rows))
    return f"### `{command}`\n\n{where}; {date}; revision `{revision}`\n\n{table}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(_lines([head, ["---"] * len(head), *rows]))


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        cells = (" ".join(str(cell).split()).replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |\n"


def page(text: str, figures: Iterable[Figure]) -> str:
    """Return a page with the recorded figures between its two marks; raises ValueError."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page needs {BEGIN} and {END}, once each")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{rendered(figures)}\n{END}{rest.partition(END)[2]}"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` compare it; returns the exit code."""
    text = PAGE.read_text("utf-8")
    wanted = page(text, read())
    if "--check" not in arguments:
        PAGE.write_text(wanted, "utf-8")
        return 0
    if text != wanted:
        print(f"{PAGE.name} lacks recorded figures: run `python -m benchmarks.results`")
    return int(text != wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
