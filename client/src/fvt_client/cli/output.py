"""Print results on stdout, progress and complaints on stderr; with `--json` one document alone."""

import json
import time
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from typing_extensions import Self

from ..contract.corpora import CorpusView
from ..contract.estimate import Estimate
from ..contract.jobs import EventView, JobView
from ..contract.names import counted, metric_label, runtime_label
from ..contract.report import Quality, Report
from ..errors import ProblemError

out = Console()
err = Console(stderr=True)
# The share of a job after which a line is worth another, and the seconds.
LINE_EVERY, LINE_SECONDS = 0.1, 15.0


class _Mode:
    is_json = False


def set_json(wanted: bool) -> bool:
    """Make errors JSON too."""
    _Mode.is_json = wanted
    return wanted


def complain(error: Exception) -> None:
    """Say why a command failed; with `--json` on stdout too, as `{"error": …}`."""
    if _Mode.is_json:
        fault: dict[str, Any] = {"message": str(error), "code": None, "request_id": None}
        if isinstance(error, ProblemError):
            fault.update(message=error.detail, code=error.code, request_id=error.request_id)
        print_json({"error": fault})
    err.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Say what happens, beside the result."""
    err.print(message, markup=False, highlight=False, soft_wrap=True)


def show(message: str) -> None:
    """Print a line of the result."""
    out.print(message, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a JSON document; types of the contract as on the wire."""
    out.out(json.dumps(value, indent=2, ensure_ascii=False, default=_plain), highlight=False)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)


class JobDisplay:
    """Shows a job's progress: a bar in a terminal, else a line where something changed."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        left = TextColumn("{task.fields[left]}")
        self._bar = Progress(*columns, TimeElapsedColumn(), left, console=err)
        self._task = self._bar.add_task("waiting", total=1.0, left="")
        self._shown: tuple[str, str | None, int] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, job: JobView) -> None:
        """Bring the display up to date."""
        progress = job.progress
        eta = progress.eta_seconds
        left = "" if eta is None or job.is_over else f"about {eta:.0f} s left"
        if err.is_terminal:
            message = progress.message.replace("[", r"\[")
            self._bar.update(
                self._task, completed=progress.fraction, description=message, left=left
            )
            return
        change = (job.status, job.stage, int(progress.fraction / LINE_EVERY))
        if change != self._shown or time.monotonic() - self._said > LINE_SECONDS:
            self._shown, self._said = change, time.monotonic()
            message = "" if job.is_over else progress.message
            say(f"{job.status} {progress.fraction:4.0%} {message} {left}".rstrip())


def describe_corpus(corpus: CorpusView) -> list[str]:
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


def describe_estimate(estimate: Estimate) -> list[str]:
    """Return lines that say what a job would make and how long it would take."""
    minutes, base = estimate.minutes, estimate.base
    lines = [
        f"Time: about {minutes.value:.0f} minutes ({minutes.low:.0f} to {minutes.high:.0f}), by "
        f"{estimate.basis}",
        f"Base: {base.parameters:,} parameters, {base.bytes / 1e6:,.1f} MB, {base.vocab_size:,} "
        f"tokens, {counted(base.layers, 'layer')}",
    ]
    for size in estimate.sizes:
        tokens = size.tokens_per_text
        per_text = f"{tokens.value:.1f} tokens a text ({tokens.low:.1f} to {tokens.high:.1f})"
        lines.append(
            f"Result: {size.parameters:,} parameters, {size.bytes / 1e6:,.1f} MB, "
            f"{size.vocab_size:,} tokens, {counted(size.layers, 'layer')}; "
            f"{per_text} in place of {size.base_tokens_per_text:.1f}"
        )
        lines += [
            f"  {runtime_label(export.runtime)}: {export.bytes / 1e6:,.1f} MB"
            for export in size.exports
        ]
    return [*lines, *(f"- {step}" for step in estimate.steps)]


def print_report(report: Report) -> None:
    """Print the verdict, what came of a target, the figures of a report, and its warnings."""
    if report.verdict:
        out.print(report.verdict, style="bold", markup=False, highlight=False, soft_wrap=True)
    if report.target:
        out.print(report.target.reason, markup=False, highlight=False, soft_wrap=True)
    out.print(before_after(report))
    for warning in report.warnings:
        say(f"Note: {warning}")


def before_after(report: Report) -> Table:
    """Return the figures of a report, base model beside compressed model and exported files."""
    table = Table("", "before", "after", "change", title="Measured on held-out text")
    for column in table.columns[1:]:
        column.justify = "right"
    base, compressed, tokens = report.base, report.compressed, report.tokens
    for label, key in (("vocabulary", "vocab_size"), ("parameters", "parameters")):
        table.add_row(label, *_counts(getattr(base, key), getattr(compressed, key)))
    table.add_row("bytes", *_counts(base.bytes, compressed.bytes))
    for export in report.exports:
        label = f"bytes, {runtime_label(export.runtime)}"
        table.add_row(label, *_counts(base.bytes, export.bytes))
    before, after = tokens.per_text_before, tokens.per_text_after
    table.add_row("tokens per text", f"{before:.1f}", f"{after:.1f}", _change(before, after))
    unknown = f"{tokens.unk_rate_before:.3%}", f"{tokens.unk_rate_after:.3%}"
    table.add_row("unknown tokens", *unknown, "")
    if (expected := tokens.expected_unk_rate) is not None:
        table.add_row("unknown tokens, expected in unseen text", "", f"{expected:.3%}", "")
    for row in report.latency:
        runtime = f"{runtime_label(row.runtime)}, {row.device}"
        times = (f"{row.before_ms:.1f}", f"{row.after_ms:.1f}", f"{row.speedup:.2f}x")
        table.add_row(f"ms a batch of {row.batch_size}, {runtime}", *times)
    for cells in _quality_rows(report):
        table.add_row(*cells)
    return table


def _quality_rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield a row a metric; of the first one a row a file follows, of all it would be many."""
    for number, quality in enumerate(report.quality):
        yield _quality(quality)
        for export in report.exports if number == 0 else ():
            for own in export.quality:
                if own.metric == quality.metric:
                    yield _quality(own, f", {runtime_label(export.runtime)}")


def _quality(row: Quality, where: str = "") -> tuple[str, ...]:
    kept = f"{row.retention:.1%} kept"
    return f"{metric_label(row.metric)}{where}", f"{row.before:.3f}", f"{row.after:.3f}", kept


def _counts(before: int, after: int) -> tuple[str, str, str]:
    return f"{before:,}", f"{after:,}", _change(before, after)


def _change(before: float, after: float) -> str:
    return f"{after / before - 1:+.0%}" if before else ""


def event_line(event: EventView) -> str:
    """Return a line of a log."""
    data = ", ".join(f"{name} {_short(value)}" for name, value in event.data.items())
    return f"{event.created_at:%Y-%m-%d %H:%M:%S} {event.type} {data}".rstrip()


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value.get("message", value)) if isinstance(value, dict) else str(value)
