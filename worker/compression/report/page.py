"""report.html: the figures of a report, put together for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.contract.report import Latency, ModelSize, Report, SweepRow
from worker.compression.report.charts import (
    Bar,
    Candidate,
    bar_chart,
    length_chart,
    loss_chart,
    tradeoff_chart,
)

RUNTIMES = {"torch": "PyTorch", "onnx": "ONNX", "onnx-int8": "ONNX int8"}


@dataclass(frozen=True)
class Variant:
    """A model for one runtime; its speed is against the base in PyTorch, by batch size."""

    runtime: str
    path: str
    bytes: int
    speedup: dict[int, float]
    memory: int | None
    kept: dict[str, float]
    """The share of the base's quality that is left, by metric."""


def variants(report: Report | SweepRow) -> list[Variant]:
    """Return the model in PyTorch and what was exported of it."""
    sized: ModelSize | SweepRow = report.compressed if hasattr(report, "compressed") else report
    files = [("torch", "model.safetensors", sized.bytes, report.quality)]
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
        )
        for runtime, path, size, quality in files
    ]


def latency_of(rows: Sequence[Latency], batch_size: int) -> list[Latency]:
    """Return the rows of a batch size; the base's time is that of the first."""
    return [row for row in rows if row.batch_size == batch_size]


def _speedup(rows: Sequence[Latency], runtime: str) -> dict[int, float]:
    return {row.batch_size: row.speedup for row in rows if row.runtime.split(" ")[0] == runtime}


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


METRICS = {
    "macro_f1": "Macro-F1 of the task, fine-tuned",
    "entity_f1": "F1 of the task's entities, fine-tuned",
    "ndcg_at_10": "nDCG@10 of the task",
    "spearman": "Spearman's correlation of the task",
    "sentence_cosine": "Same sentence vectors as the base (cosine)",
    "neighbour_overlap_10": "Same ten nearest texts as the base",
    "masked_lm_bits_per_character": "Prediction of hidden words, bits a character",
    "causal_lm_bits_per_character": "Prediction of the next word, bits a character",
    "denoising_bits_per_character": "Restoring of hidden words, bits a character",
}

SHORT = {
    "macro_f1": "macro-F1",
    "entity_f1": "entity F1",
    "ndcg_at_10": "nDCG@10",
    "spearman": "Spearman",
    "sentence_cosine": "vectors",
    "neighbour_overlap_10": "neighbours",
    "masked_lm_bits_per_character": "hidden words",
    "causal_lm_bits_per_character": "next word",
    "denoising_bits_per_character": "hidden words",
}


def render_page(report: Report) -> str:
    """Return the page, which needs no other file, and no script."""
    return render(
        "report.html",
        report=report,
        metrics=METRICS,
        runtimes=RUNTIMES,
        variants=variants(report),
        variants_of=variants,
        batch_sizes=batch_sizes(report),
        short=SHORT,
        charts=_charts(report),
    )


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
    """The batch sizes that were timed, each once."""
    return list(dict.fromkeys(row.batch_size for row in report.latency))


def _size(report: Report) -> Markup:
    bars = [_size_bar("base", report.base, report.base.bytes)]
    bars += [
        _size_bar(f"compressed, {RUNTIMES[one.runtime]}", report.compressed, one.bytes)
        for one in variants(report)
    ]
    return bar_chart("Bytes of base and compressed model", bars)


def _size_bar(name: str, size: ModelSize, file: int) -> Bar:
    """Draw a file of a model, cut as its parameters are."""
    embeddings = file * size.embedding_parameters / size.parameters
    parts = [("embeddings", embeddings), ("rest", file - embeddings)]
    return Bar(name, parts, f"{file / 1e6:.1f} MB")


def _latency(report: Report, batch_size: int) -> Markup:
    rows = latency_of(report.latency, batch_size)
    bars = [Bar("base, PyTorch", [("before", rows[0].before_ms)], f"{rows[0].before_ms:.1f} ms")]
    bars += [
        Bar(
            f"compressed, {RUNTIMES[row.runtime.split(' ')[0]]}",
            [("after", row.after_ms)],
            f"{row.after_ms:.1f} ms, {row.speedup:.1f}x",
        )
        for row in rows
    ]
    return bar_chart(f"Milliseconds a batch of {batch_size}", bars)


def _tradeoff(report: Report) -> Markup:
    found = [Candidate("base", "before", report.base.bytes / 1e6, 100.0)]
    metric = report.quality[0].metric
    for size in report.sweep:
        own: list[Variant] = variants(size)
        found += [
            Candidate(
                f"{size.vocab_size:,}" + (" int8" if one.runtime == "onnx-int8" else ""),
                "after" if one.runtime == "torch" else "other",
                one.bytes / 1e6,
                100 * one.kept[metric],
                chosen=size.path == "." and one.runtime == "torch",
            )
            for one in own
            # In float32 an ONNX file is the model once more.
            if one.runtime != "onnx" and metric in one.kept
        ]
    return tradeoff_chart("Size and quality of all sizes", found)
