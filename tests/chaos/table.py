"""Tables of runs, in Markdown."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.chaos.run import Outcome


def tables(outcomes: dict[str, Outcome]) -> str:
    """Return the figures of each database's run in a column, then the faults by kind."""
    names = list(outcomes)
    runs = list(outcomes.values())
    figures: dict[str, Sequence[object]] = {
        "faults": [run.faults.total() for run in runs],
        "jobs accepted": [run.accepted for run in runs],
        "succeeded": [run.ends["succeeded"] for run in runs],
        "failed, with a reason": [run.ends["failed"] for run in runs],
        "cancelled": [run.ends["cancelled"] for run in runs],
        "deleted on request": [run.ends["deleted"] for run in runs],
        "retried": [run.retried for run in runs],
        "**lost**": [len(run.lost) for run in runs],
        "**double**": [len(run.double) for run in runs],
        "ended otherwise than they should, or with a broken result": [
            len(run.wrong) for run in runs
        ],
        "**files left**": [len(run.files) for run in runs],
        "**processes left**": [len(run.processes) for run in runs],
        "answers of 500": [run.errors_500 for run in runs],
        "seconds": [round(run.seconds) for run in runs],
    }
    head = f"| | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}"
    kinds = sorted({kind for run in runs for kind in run.faults})
    faults = {kind: [run.faults[kind] for run in runs] for kind in kinds}
    return f"{head}\n{_rows(figures)}\n\n{head}\n{_rows(faults)}\n"


def _rows(rows: Mapping[str, Sequence[object]]) -> str:
    lines = [f"| {name} | {' | '.join(map(str, values))} |" for name, values in rows.items()]
    return "\n".join(lines)


def details(outcome: Outcome, longest: int = 20) -> str:
    """Return what a run found that must not be, and how often requests met a fault."""
    lines = []
    for name, found in outcome.broken.items():
        rows = found if isinstance(found, list) else [str(found)]
        lines += [f"{name} ({len(rows)}):", *(f"  {row}" for row in rows[:longest])]
    lines += [f"  {kind}: {n}" for kind, n in outcome.file_kinds.most_common(longest)]
    lines += [f"ends: {_listed(outcome.ends)}", f"requests: {_listed(outcome.answers)}"]
    return "\n".join(lines)


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counted.most_common()) or "nothing"
