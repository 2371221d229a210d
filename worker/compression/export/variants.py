"""The forms in which a compressed model can be used, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from worker.compression.evaluation.latency import Latency
from worker.compression.evaluation.sizes import ModelSize

if TYPE_CHECKING:
    from worker.compression.report import Report, SweepRow

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


def variants(report: Union["Report", "SweepRow"]) -> list[Variant]:
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
