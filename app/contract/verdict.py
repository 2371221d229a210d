"""Say what a report comes to, in words: the verdict, and what its figures rest on.

No figure is in the verdict that is inside its own noise: a speedup whose interval holds 1, or a
share of quality whose interval is wide. A speedup whose noise is not known is said to be so.
"""

from collections.abc import Iterator

from .names import BASELINE, METRICS, is_static, runtime_in_words, runtime_label, runtime_name
from .report import Latency, Quality, Recovery, Report

_WIDE = 0.1
"""An interval of a share of quality that is no figure any more."""
_NOTHING = 0.005
"""A share of quality below it is nothing, in whole percents."""
_SAME_SIZE = _SAME_SPEED = 1.05
_LARGE = 10
"""From it on a number of times is told without a fraction."""
_FEW_HELD_OUT, _FEW_DOCUMENTS = 100, 500
_CUT = 0.01
"""A share of texts that are longer than a model reads, which a reader is told of."""

_REASONS = {
    "max_minutes": "its time was used up",
    "held_out_loss": "the loss on held-out text had risen, and the best weights were kept",
    "non_finite_loss": "its loss was no longer a number",
    "cancelled": "it was cancelled",
}
_CURES = {
    "max_minutes": " Give it more minutes, or a faster machine, to keep more of the quality.",
    "non_finite_loss": " Lower the learning rate.",
}


def verdict(report: Report) -> str:
    """Return what a result comes to in a sentence; that a recovery was cut short goes before it."""
    runtime, size, quality = _headlined(report)
    named = "" if runtime == BASELINE else f"As {runtime_in_words(runtime)}: "
    kept = _kept(quality, judged_metric(report))
    figures = [_size(report.base.bytes / size), _speed(report.latency, runtime), kept]
    sentence = f"{named}{', '.join(filter(None, figures))}."
    sentence = sentence if named else sentence[0].upper() + sentence[1:]
    return " ".join(filter(None, [cut_short(report.recovery), sentence]))


def judged_runtime(report: Report) -> str | None:
    """Return the runtime of the file that a target judged; None where there is none."""
    if report.target is None or report.target.at_root is None:
        return None
    runtime = report.target.judged_runtime
    there = runtime == BASELINE or any(one.runtime == runtime for one in report.exports)
    return runtime if there else None


def judged_metric(report: Report) -> str | None:
    """Return the metric by which a target judged; None where there is none."""
    judged = report.target and report.target.at_root
    return judged.metric if judged else None


def _headlined(report: Report) -> tuple[str, int, list[Quality]]:
    """Return the runtime, the bytes and the quality of the file that the verdict is about.

    It is the one that a target judged, else the smallest that is the model.
    """
    files = [(BASELINE, report.compressed.bytes, report.quality)]
    files += [(one.runtime, one.bytes, one.quality) for one in report.exports]
    if judged := judged_runtime(report):
        return next(file for file in files if file[0] == judged)
    return min((file for file in files if not is_static(file[0])), key=lambda file: file[1])


def _size(ratio: float) -> str:
    if ratio >= _SAME_SIZE:
        return f"{ratio:.1f}x smaller"
    return "as large as the base" if ratio > 1 / _SAME_SIZE else f"{1 / ratio:.1f}x larger"


def _speed(rows: list[Latency], runtime: str) -> str:
    row = _timed(rows, runtime)
    if row is None:
        return ""
    at = texts_at_a_time(row.batch_size)
    if is_unsure(row):
        return f"{roughly(row.speedup)} at {at}, {UNSURE}"
    if is_faster(row):
        return f"{row.speedup:.1f}x faster at {at}"
    if is_slower(row):
        return f"{1 / row.speedup:.1f}x slower at {at}"
    return f"no faster at {at} beyond the noise of the timing"


def _timed(rows: list[Latency], runtime: str) -> Latency | None:
    """Return the row of a runtime's smallest batches."""
    own = [row for row in rows if runtime_name(row.runtime) == runtime]
    return min(own, key=lambda one: one.batch_size, default=None)


def roughly(speedup: float) -> str:
    """Return a speedup whose noise is not known."""
    if 1 / _SAME_SPEED < speedup < _SAME_SPEED:
        return "about as fast as the base"
    times = max(speedup, 1 / speedup)
    figure = f"{times:,.0f}" if times >= _LARGE else f"{times:.1f}"
    return f"about {figure} times {'faster' if speedup > 1 else 'slower'}"


def _kept(quality: list[Quality], metric: str | None) -> str:
    if not quality:
        return "its quality was not measured"
    row = next((one for one in quality if one.metric == metric), None) if metric else quality[0]
    if row is None:
        return f"its quality was not measured ({_label(metric or '')})"
    of = f"of the base's quality ({_label(row.metric)})"
    if row.low is None or row.high is None:
        return f"on too few texts to say what it keeps {of}"
    if row.low <= 1 <= row.high and row.high - row.low <= _WIDE:
        return f"keeps all {of} within the noise of the measurement"
    return f"keeps {_share(row.retention, row.low, row.high)} {of}".replace("%", " %")


def _share(kept: float, low: float, high: float) -> str:
    """Return a share of quality in words; one below zero is nothing."""
    if high < _NOTHING:
        return "nothing"
    if low < _NOTHING:
        return f"up to {high:.0%}"
    return f"between {low:.0%} and {high:.0%}" if high - low > _WIDE else f"{kept:.0%}"


def _label(metric: str) -> str:
    label = METRICS[metric].label if metric in METRICS else metric
    if ": " in label:
        # A heading and what it is about: no words for the middle of a sentence.
        return f'"{label}"'
    return label[0].lower() + label[1:] if label[1:2].islower() else label


def texts_at_a_time(batch_size: int) -> str:
    """Return a batch size in words."""
    return "one text" if batch_size == 1 else f"{batch_size} texts at a time"


UNSURE = "timed on too few batches to be sure"


def is_unsure(row: Latency) -> bool:
    """Tell whether the noise of a timing is not known."""
    return row.low is None or row.high is None


def is_faster(row: Latency) -> bool:
    """Tell whether a model is faster than the base beyond the noise of the timing."""
    return row.low is not None and row.low > 1


def is_slower(row: Latency) -> bool:
    """Tell whether a model is slower than the base beyond the noise of the timing."""
    return row.high is not None and row.high < 1


def steps_done(recovery: Recovery) -> str:
    """Return the planned and the done steps of a recovery, and why it stopped before its plan."""
    if recovery.steps >= recovery.planned_steps:
        return f"{recovery.steps:,} steps, all that were planned"
    return f"{recovery.steps:,} of {recovery.planned_steps:,} planned steps: {_reason(recovery)}"


def last_steps_done(recovery: Recovery) -> str:
    """Return what was special about the last steps of a recovery, in sentences, or nothing."""
    return " ".join(filter(None, (_queries_done(recovery), _four_bits_done(recovery))))


def _four_bits_done(recovery: Recovery) -> str:
    if not recovery.four_bit_steps:
        return ""
    return f"The last {recovery.four_bit_steps:,} steps trained with weights in four bits."


def _queries_done(recovery: Recovery) -> str:
    if not recovery.planned_query_steps:
        return ""
    done, planned = recovery.query_steps, recovery.planned_query_steps
    of = f"{done:,} steps" if done >= planned else f"{done:,} of {planned:,} planned steps"
    return (
        f"The last {of} were on queries, with a lower learning rate: "
        f"{recovery.queries:,} queries, {recovery.query_source or 'of the domain'}."
    )


def _reason(recovery: Recovery) -> str:
    return _REASONS.get(recovery.stopped_by or "", f"`{recovery.stopped_by}` ended it")


def cut_short(recovery: Recovery) -> str | None:
    """Return a sentence about a recovery that did not take all its steps; None of another."""
    if recovery.steps >= recovery.planned_steps:
        return None
    cure = _CURES.get(recovery.stopped_by or "", "")
    return f"Recovery was cut short after {steps_done(recovery)}.{cure}"


def caveats(report: Report) -> Iterator[str]:
    """Yield sentences about what a report's figures rest on, the gravest first."""
    if short := cut_short(report.recovery):
        yield short
    if report.recovery.general_warning:
        yield report.recovery.general_warning
    if report.recovery.query_warning:
        yield report.recovery.query_warning
    yield from _about_texts(report)
    for row in report.quality:
        if row.low is not None and row.high is not None and row.high - row.low > _WIDE:
            least, most = max(0.0, row.low), max(0.0, row.high)
            yield (
                f"What is kept of {_label(row.metric)} is known roughly: between {least:.1%} and "
                f"{most:.1%}, from {row.items:,} texts."
            )
    yield from _about_latency(report.latency)


def _about_texts(report: Report) -> Iterator[str]:
    tokens, corpus = report.tokens, report.corpus
    if corpus.documents < _FEW_DOCUMENTS:
        yield (
            f"The corpus has only {corpus.documents:,} documents: vocabulary and recovery rest on "
            "little text, and other text of the domain may do worse."
        )
    if tokens.texts < _FEW_HELD_OUT:
        yield (
            f"Only {tokens.texts:,} texts were held out: the intervals of all figures are wide. "
            "Upload more documents, or raise `evaluation.holdout_fraction`."
        )
    if tokens.per_text_after > tokens.per_text_before:
        more = (
            f"Texts have more tokens than before, {tokens.per_text_after:.1f} for "
            f"{tokens.per_text_before:.1f}"
        )
        if _reads_slower(report):
            more += ": the model reads them slower, and sees less of a long one"
            # With a target no vocabulary can be asked for.
            more += "" if report.target else ". Ask for a larger vocabulary"
        yield f"{more}."
    if tokens.cut_before is not None and max(tokens.cut_before, tokens.cut_after or 0) >= _CUT:
        yield (
            f"{tokens.cut_before:.0%} of the texts are longer than the {tokens.longest_input:,} "
            f"tokens that the base reads at a time, {tokens.cut_after or 0:.0%} with the new "
            "vocabulary: the rest of these is not seen, and no figure is about it. Cut documents "
            "into passages."
        )


def _reads_slower(report: Report) -> bool:
    """Tell whether the model is slower for more tokens: not with fewer layers, or as vectors."""
    runtime, judged = judged_runtime(report) or BASELINE, report.target and report.target.at_root
    layers = report.recovery.keep_layers or (judged.layers if judged else None)
    timed = _timed(report.latency, runtime)
    return layers is None and not is_static(runtime) and not (timed and is_faster(timed))


def _about_latency(rows: list[Latency]) -> Iterator[str]:
    """Yield a sentence for each doubt about the speed, however many rows it is about."""
    too_few = [row for row in rows if _interval(row) is None and row.rounds is not None]
    even = [row for row in rows if _interval(row) and not (is_faster(row) or is_slower(row))]
    unstable = [row for row in rows if row not in even and _interval(row) and row.stable is False]
    if too_few:
        yield (
            "There was time for too few batches to say how sure the speed is, of "
            f"{_named(too_few)}."
        )
    if even:
        yield f"No difference in speed is shown, in times the base's, of {_named(even)}."
    if unstable:
        yield (
            "The timing did not become stable, in times the base's speed, of "
            f"{_named(unstable)}. Measure on a machine with nothing else to do."
        )


def _interval(row: Latency) -> str | None:
    return None if row.low is None or row.high is None else f"{row.low:.2f} to {row.high:.2f}"


def _named(rows: list[Latency]) -> str:
    """Name the runtimes of rows, each once, with its batch sizes and what is known of them."""
    said = dict[str, list[str]]()
    for row in rows:
        known = _interval(row)
        at = texts_at_a_time(row.batch_size) + (f" ({known})" if known else "")
        said.setdefault(runtime_label(row.runtime), []).append(at)
    return "; ".join(f"{runtime}, {', '.join(batches)}" for runtime, batches in said.items())
