"""Reports with every section, of one size and of a sweep."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from worker.compression import (
    BaseModel,
    CorpusSummary,
    Example,
    Export,
    Gate,
    Histogram,
    Latency,
    Memory,
    ModelSize,
    Quality,
    Report,
    Scores,
    StageTime,
    SweepRow,
    TaskQuality,
    Tokens,
    quality_row,
)

BEFORE = [0, 4, 19, 33, 41, 38, 30, 24, 17, 12, 9, 6, 4, 3, 2, 1, 1, 0, 0, 2]
AFTER = [1, 17, 38, 52, 45, 34, 22, 14, 9, 6, 4, 2, 1, 1, 0, 0, 0, 0, 0, 0]
RUNTIMES = ("torch 2.13.0", "onnx", "onnx-int8")


def quality(kept: float) -> list[Quality]:
    return [
        Quality("sentence_cosine", 1.0, kept, kept),
        Quality("neighbour_overlap_10", 1.0, kept - 0.2, kept - 0.2),
    ]


def latency(faster: float) -> list[Latency]:
    return [
        Latency(
            name, "cpu", "float32", 2, batch, 32, True, 21.0 * batch, after, 21.0 * batch / after
        )
        for n, name in enumerate(RUNTIMES)
        for batch in (1, 32)
        for after in [21.0 * batch / (faster * (1 + n))]
    ]


def exports(size: int, kept: float) -> list[Export]:
    return [
        Export("onnx", "onnx/model.onnx", size, quality(kept)),
        Export("onnx-int8", "onnx/model_int8.onnx", size // 4, quality(kept - 0.01)),
    ]


def row(path: str, vocab_size: int, kept: float, faster: float) -> SweepRow:
    rows = 384 * vocab_size
    return SweepRow(
        path, vocab_size, 10_992_768 + rows, rows, 4 * (10_992_768 + rows), 25.3, 0.0,
        quality(kept), latency(faster), True, exports(4 * (10_992_768 + rows), kept),
    )  # fmt: skip


def full_report(*tokens: str) -> Report:
    """A report of one size, with an example of these tokens."""
    return Report(
        base_model=BaseModel("sentence-transformers/all-MiniLM-L6-v2", "c0ffee" * 6),
        corpus=CorpusSummary("a" * 64, 16716, 817),
        base=ModelSize(30522, 22_713_216, 11_720_448, 90_868_376),
        compressed=ModelSize(7630, 13_922_688, 2_929_920, 55_702_080),
        tokens=Tokens(
            4008, 3622, 0, 0, 0, 246, 2, 28.4, 23.3, 0.0, 0.0, Histogram(5, BEFORE, AFTER)
        ),
        quality=quality(0.93),
        latency=latency(1.2),
        stages=[StageTime("tokenizer", 6.5), StageTime("evaluate", 25.0)],
        selection="usage",
        transfer_method="fvt",
        seed=0,
        gate=Gate(0.9, None, []),
        exports=exports(55_600_000, 0.93),
        memory=[
            Memory("torch", 560_000_000, 480_000_000),
            Memory("onnx-int8", 560_000_000, 1 << 27),
        ],
        examples=[
            Example("typical", ["Ag", "ran", "ulo", "cyt", "osis", *tokens], ["Agranulocytosis"])
        ],
    )


def recovered(report: Report) -> Report:
    """The report with what a training leaves: the losses, step by step."""
    loss = [
        {
            "step": step,
            "train": 1 / (1 + step / 40),
            "held_out": None if step % 100 else 0.9 / (1 + step / 50),
        }
        for step in range(0, 501, 20)
    ]  # fmt: skip
    made: Any = SimpleNamespace(objective="auto", used="distill", loss=loss)
    return replace(report, recovery=made)


def sweep_report() -> Report:
    """A sweep of four sizes; the second is chosen."""
    rows = [
        row("sizes/15261", 15261, 0.965, 1.15),
        row(".", 7630, 0.93, 1.2),
        row("sizes/3052", 3052, 0.86, 1.18),
        row("sizes/1526", 1526, 0.79, 1.05),
    ]
    return replace(full_report(), sweep=rows)


def with_task(report: Report, retention: float | None = 0.99) -> Report:
    """The report with a task of three seeds, of which the exports were not measured."""
    before, after = Scores([0.91, 0.92, 0.93], 0.92, 0.01), Scores([0.9, 0.91, 0.92], 0.91, 0.01)
    task = TaskQuality("sequence_classification", "macro_f1", 3, before, after, retention)

    def told(one: Any) -> Any:
        return replace(one, task=task, quality=[*quality_row(task), *one.quality])

    whole: Report = told(report)
    return replace(whole, sweep=[told(row) for row in report.sweep])
