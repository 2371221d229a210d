"""Print lines and tables on stdout, progress and complaints on stderr."""

import json
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from app.client import Corpus, Job
from app.contract.names import metric_label, runtime_label

out = Console()
err = Console(stderr=True)
# The share of a job after which a line is worth another.
LINE_EVERY = 0.1


def complain(message: str) -> None:
    """Say why a command failed."""
    err.print(f"Error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Say what happens, beside the result."""
    err.print(message, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a JSON document."""
    out.out(json.dumps(value, indent=2, ensure_ascii=False), highlight=False)


class JobDisplay:
    """Shows a job's progress: a bar in a terminal, else a line where something changed."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self._bar = Progress(*columns, TextColumn("{task.fields[left]}"), console=err)
        self._task = self._bar.add_task("waiting", total=1.0, left="")
        self._shown: tuple[str, str | None, int] | None = None

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, job: Job) -> None:
        """Bring the display up to date."""
        progress = job.progress
        eta = progress.eta_seconds
        left = "" if eta is None else f"about {eta:.0f} s left"
        if err.is_terminal:
            self._bar.update(
                self._task, completed=progress.fraction, description=progress.message, left=left
            )
            return
        change = (job.status, job.stage, int(progress.fraction / LINE_EVERY))
        if change != self._shown:
            self._shown = change
            message = "" if job.is_over else progress.message
            say(f"{job.status} {progress.fraction:4.0%} {message} {left}".rstrip())


def describe_corpus(corpus: Corpus) -> list[str]:
    """Return lines that say how a corpus was read, with its first documents, for people."""
    how: list[str] = [corpus.format]
    if corpus.delimiter:
        how.append(f"delimiter {corpus.delimiter!r}")
    if corpus.text_field:
        how.append(f"text from {corpus.text_field!r}")
    size = f"{corpus.documents:,} documents, {corpus.characters:,} characters"
    lines = [f"Corpus: {size}, read as {', '.join(how)}"]
    if corpus.skipped:
        rows = ", ".join(map(str, corpus.skipped_lines))
        lines.append(
            f"  {corpus.skipped:,} rows without text were passed over, the first at {rows}"
        )
    return [*lines, *(f"  {document!r}" for document in corpus.preview)]


def print_report(report: dict[str, Any]) -> None:
    """Print the verdict and the figures of a report, and its warnings."""
    if verdict := report.get("verdict"):
        out.print(verdict, style="bold", markup=False, highlight=False)
    out.print(before_after(report))
    for warning in report.get("warnings", []):
        say(f"Note: {warning}")


def before_after(report: dict[str, Any]) -> Table:
    """Return the figures of a report, base model beside compressed model and exported files."""
    table = Table("", "before", "after", "change", title="Measured on held-out text")
    for column in table.columns[1:]:
        column.justify = "right"
    base, compressed, tokens = report["base"], report["compressed"], report["tokens"]
    for label, key in (("vocabulary", "vocab_size"), ("parameters", "parameters")):
        table.add_row(label, *_counts(base[key], compressed[key]))
    table.add_row("bytes", *_counts(base["bytes"], compressed["bytes"]))
    for row in report["exports"]:
        label = f"bytes, {runtime_label(row['runtime'])}"
        table.add_row(label, *_counts(base["bytes"], row["bytes"]))
    before, after = tokens["per_text_before"], tokens["per_text_after"]
    table.add_row("tokens per text", f"{before:.1f}", f"{after:.1f}", _change(before, after))
    unknown = f"{tokens['unk_rate_before']:.3%}", f"{tokens['unk_rate_after']:.3%}"
    table.add_row("unknown tokens", *unknown, "")
    if (expected := tokens.get("expected_unk_rate")) is not None:
        table.add_row("unknown tokens, expected in unseen text", "", f"{expected:.3%}", "")
    for row in report["latency"]:
        runtime = f"{runtime_label(row['runtime'])}, {row['device']}"
        times = (f"{row['before_ms']:.1f}", f"{row['after_ms']:.1f}", f"{row['speedup']:.2f}x")
        table.add_row(f"ms a batch of {row['batch_size']}, {runtime}", *times)
    for row in report["quality"]:
        figures = (f"{row['before']:.3f}", f"{row['after']:.3f}", f"{row['retention']:.1%} kept")
        table.add_row(metric_label(row["metric"]), *figures)
    return table


def _counts(before: int, after: int) -> tuple[str, str, str]:
    return f"{before:,}", f"{after:,}", _change(before, after)


def _change(before: float, after: float) -> str:
    return f"{after / before - 1:+.0%}" if before else ""
