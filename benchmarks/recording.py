"""Record what a benchmark prints, where it is run with `--record`."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any, TextIO

from benchmarks.results import record, take_flag


@contextmanager
def recorded() -> Iterator[None]:
    """Run a benchmark in the block; with `--record` its figures are kept once it has ended.

    The flag is taken out of `sys.argv`. Where the benchmark raises, nothing is recorded. Raises
    ValueError where it printed no figures.
    """
    if not take_flag(sys.argv):
        yield
        return
    both = _Both(sys.stdout)
    with redirect_stdout(both):
        yield
    figures = figures_of(both.getvalue())
    if not figures:
        raise ValueError("nothing was printed that could be recorded: a table or JSON is")
    record(figures)


class _Both(StringIO):
    """Keeps what is written, and shows it as it comes."""

    def __init__(self, shown: TextIO) -> None:
        super().__init__()
        self._shown = shown

    def write(self, text: str) -> int:
        self._shown.write(text)
        return super().write(text)

    def flush(self) -> None:
        self._shown.flush()


def figures_of(printed: str) -> dict[str, str]:
    """Return the figures of Markdown's tables and of JSON objects, each by its name.

    A figure of a table is named by its row and its column, one of JSON by its keys and, if it
    stands in an indented line `part: {...}`, by that part and the line without indent before it.
    """
    whole = _json(printed)
    if whole is not None:
        return _flat(whole)
    figures: dict[str, str] = {}
    table: list[list[str]] = []
    heading = ""
    for line in [*printed.splitlines(), ""]:
        if line.startswith("|"):
            table.append([cell.strip(" *") for cell in line.strip().strip("|").split("|")])
            continue
        figures |= _of_table(table)
        table = []
        part, brace, rest = line.partition("{")
        found = _json(brace + rest)
        if found is not None:
            name = part.strip(" :")
            figures |= _flat(found, f"{heading}, {name}" if line.startswith(" ") else name)
        elif line and not line.startswith(" "):
            heading = line.strip()
    return figures


def _of_table(table: Sequence[Sequence[str]]) -> dict[str, str]:
    if len(table) < 3:
        return {}
    columns, rows = table[0], table[2:]
    # As many cells as tell the rows apart.
    length = next(
        n
        for n in range(1, len(columns) + 1)
        if n == len(columns) or len({tuple(row[:n]) for row in rows}) == len(rows)
    )
    return {
        f"{', '.join(filter(None, row[:length]))}: {column}": cell
        for row in rows
        for column, cell in list(zip(columns, row, strict=True))[length:]
        if cell
    }


def _json(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {name: str(value)}
    parts = (_flat(part, f"{name}, {key}" if name else str(key)) for key, part in value.items())
    return {key: figure for part in parts for key, figure in part.items()}
