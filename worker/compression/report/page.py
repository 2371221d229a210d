"""Render report.html: the figures of a report, put together for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.contract.names import (
    ANY,
    BASELINE,
    METRICS,
    RUNTIMES,
    counted,
    is_static,
    runtime_label,
    runtime_name,
)
from app.contract.report import Latency, ModelSize, Quality, Report, SweepRow, Target, TaskScores
from app.contract.verdict import (
    UNSURE,
    is_faster,
    is_slower,
    is_unsure,
    judged_metric,
    judged_runtime,
    last_steps_done,
    roughly,
    steps_done,
    texts_at_a_time,
)
from worker.compression.report.charts import (
    Bar,
    Candidate,
    bar_chart,
    length_chart,
    loss_chart,
    tradeoff_chart,
)


@dataclass(frozen=True)
class Variant:
    """Holds a model for one runtime; its speed is against the base in PyTorch, by batch size."""

    runtime: str
    path: str
    bytes: int
    speedup: dict[int, float]
    memory: int | None
    # The share of the base's quality that is left, by metric.
    kept: dict[str, float]
    # Batch sizes at which its speed is the base's, within the noise.
    noisy: frozenset[int] = frozenset()
    # Batch sizes at which its noise is not known.
    unsure: frozenset[int] = frozenset()

    @property
    def label(self) -> str:
        """Return the runtime's label."""
        return runtime_label(self.runtime)

    @property
    def is_quantized(self) -> bool:
        """Tell whether its weights are in fewer bits than the model's."""
        return self.runtime in RUNTIMES and RUNTIMES[self.runtime].is_quantized

    @property
    def is_static(self) -> bool:
        """Tell whether it is a vector a token in place of the model."""
        return is_static(self.runtime)


def variants(report: Report | SweepRow) -> list[Variant]:
    """Return the model in PyTorch and what was exported of it."""
    sized: ModelSize | SweepRow = report.compressed if hasattr(report, "compressed") else report
    files = [(BASELINE, RUNTIMES[BASELINE].path, sized.bytes, report.quality)]
    files += [(one.runtime, one.path, one.bytes, one.quality) for one in report.exports]
    peaks = {row.runtime: row.after_bytes for row in report.memory}
    return [
        Variant(
            runtime,
            path,
            size,
            _speedup(report.latency, runtime),
            peaks.get(runtime),
            {row.metric: row.retention for row in quality},
            _noisy(report.latency, runtime),
            _unsure(report.latency, runtime),
        )
        for runtime, path, size, quality in files
    ]


def latency_of(rows: Sequence[Latency], batch_size: int) -> list[Latency]:
    """Return the rows of a batch size; the base's time is that of the first."""
    return [row for row in rows if row.batch_size == batch_size]


def _speedup(rows: Sequence[Latency], runtime: str) -> dict[int, float]:
    return {row.batch_size: row.speedup for row in rows if runtime_name(row.runtime) == runtime}


def _noisy(rows: Sequence[Latency], runtime: str) -> frozenset[int]:
    own = (row for row in rows if runtime_name(row.runtime) == runtime)
    # Reports of earlier versions have no intervals.
    timed = (row for row in own if row.low is not None)
    return frozenset(row.batch_size for row in timed if not is_faster(row) and not is_slower(row))


def _unsure(rows: Sequence[Latency], runtime: str) -> frozenset[int]:
    own = (row for row in rows if runtime_name(row.runtime) == runtime)
    # Reports of earlier versions have no rounds either.
    return frozenset(row.batch_size for row in own if is_unsure(row) and row.rounds is not None)


def _headlined(report: Report) -> list[Variant]:
    """Return what the tiles are about: a target's file alone, else the model and the last file."""
    found = variants(report)
    if judged := judged_runtime(report):
        return [one for one in found if one.runtime == judged]
    return found[:1] + found[1:][-1:]


def _asked(target: Target) -> str:
    """Return in a sentence what a target asks."""
    parts = []
    if target.max_bytes is not None:
        parts.append(f"at most {counted(target.max_bytes, 'byte')}")
    if target.max_ms is not None:
        parts.append(f"at most {target.max_ms:g} ms for {texts_at_a_time(target.batch_size)}")
    if target.min_quality is not None:
        metric = METRICS[target.metric].label if target.metric in METRICS else target.metric
        of = f" ({metric})" if metric else ""
        parts.append(f"at least {100 * target.min_quality:g} % of the quality{of}")
    whose = "any runtime" if target.runtime == ANY else runtime_label(target.runtime)
    *first, last = parts or ["nothing"]
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"Asked for {whose}: {listed}."


def render(template: str, **values: object) -> str:
    """Fill in a template of this folder; HTML is escaped."""
    environment = Environment(
        loader=PackageLoader("worker.compression.report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


_SLICES = {
    "short": "the shortest quarter",
    "long": "the longest quarter",
    "rare_words": "the quarter with most words that no other has",
    "out_of_domain": "general English, not of the corpus",
}


def render_page(report: Report) -> str:
    """Return the page, which needs no other file, and no script."""
    return render(
        "report.html",
        report=report,
        metrics={name: row.label for name, row in METRICS.items()},
        short={name: row.short for name, row in METRICS.items()},
        runtime_label=runtime_label,
        variants=variants(report),
        headlined=_headlined(report),
        headline_metric=judged_metric(report) or (report.quality and report.quality[0].metric),
        asked=_asked(report.target) if report.target else None,
        roughly=roughly,
        unsure=UNSURE,
        at_a_time=texts_at_a_time,
        variants_of=variants,
        plotted_beside=plotted_beside(report),
        task_scores=task_scores(report),
        batch_sizes=batch_sizes(report),
        charts=_charts(report),
        steps_done=steps_done(report.recovery),
        last_steps_done=last_steps_done(report.recovery),
        slices=_SLICES,
        has_index=bool(index_rows(report)),
    )


def index_rows(report: Report) -> list[Quality]:
    """Return the rows of searches in the base's vectors, the task's first, where there is one."""
    return [row for row in report.quality if row.metric in METRICS and METRICS[row.metric].of_index]


def task_scores(report: Report) -> dict[str, TaskScores]:
    """Return the metrics of the report's task, its own first; none without one."""
    return report.task.scores if report.task else {}


def plotted_beside(report: Report) -> list[str]:
    """Return the labels of the runtimes whose files are not the model's weights as they are."""
    return [one.label for one in variants(report) if one.is_quantized or one.is_static]


def _charts(report: Report) -> dict[str, Markup | None]:
    loss = [point.model_dump() for point in report.recovery.loss]
    shape = report.tokens.histogram
    return {
        "size": _size(report),
        "lengths": length_chart("Tokens a text", shape) if shape else None,
        "loss": loss_chart("Loss in recovery", loss) if len(loss) > 1 else None,
        "tradeoff": _tradeoff(report) if report.sweep and report.quality else None,
        **{f"latency_{size}": _latency(report, size) for size in batch_sizes(report)},
    }


def batch_sizes(report: Report) -> list[int]:
    """Return the batch sizes that were timed, each once."""
    return list(dict.fromkeys(row.batch_size for row in report.latency))


def _size(report: Report) -> Markup:
    bars = [_size_bar("base", report.base, report.base.bytes)]
    bars += [
        _size_bar(f"compressed, {one.label}", report.compressed, one.bytes, is_static=one.is_static)
        for one in variants(report)
    ]
    return bar_chart("Bytes of base and compressed model", bars)


def _size_bar(name: str, size: ModelSize, file: int, *, is_static: bool = False) -> Bar:
    """Draw a file of a model, cut as its parameters are; one of token vectors is embeddings."""
    share = 1.0 if is_static else size.embedding_parameters / size.parameters
    embeddings = file * share
    parts = [("embeddings", embeddings), ("rest", file - embeddings)]
    return Bar(name, parts, f"{file / 1e6:.1f} MB")


def _latency(report: Report, batch_size: int) -> Markup:
    rows = latency_of(report.latency, batch_size)
    base = f"base, {runtime_label(BASELINE)}"
    bars = [Bar(base, [("before", rows[0].before_ms)], f"{rows[0].before_ms:.1f} ms")]
    bars += [
        Bar(
            f"compressed, {runtime_label(row.runtime)}",
            [("after", row.after_ms)],
            f"{row.after_ms:.1f} ms, {row.speedup:.1f}x",
        )
        for row in rows
    ]
    return bar_chart(f"Milliseconds a batch of {batch_size}", bars)


def _tradeoff(report: Report) -> Markup:
    candidates = [Candidate("base", "before", report.base.bytes / 1e6, 100.0)]
    target = report.target
    row = RUNTIMES.get(target.judged_runtime if target else BASELINE)
    # A file with the weights as they are is the model once more.
    ringed = row.name if row and (row.is_quantized or row.is_static) else BASELINE
    metric = report.quality[0].metric
    for size in report.sweep:
        kept = counted(size.layers, "layer") if size.layers else "all layers"
        layers = f", {kept}" if report.target else ""
        for one in variants(size):
            is_model = one.runtime == BASELINE
            if metric not in one.kept or not (is_model or one.is_quantized or one.is_static):
                continue
            how = one.runtime if one.is_static or is_model else RUNTIMES[one.runtime].dtype
            suffix = "" if is_model else f" {how}"
            candidates.append(
                Candidate(
                    f"{size.vocab_size:,}{layers}{suffix}",
                    "after" if is_model else "other",
                    one.bytes / 1e6,
                    100 * one.kept[metric],
                    chosen=size.path == "." and one.runtime == ringed,
                )
            )
    return tradeoff_chart("Size and quality of all sizes", candidates)
