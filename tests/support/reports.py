"""Reports with every section, of one size and of a sweep."""

from typing import Any

from app.contract.report import (
    BaseModelInfo,
    CorpusSummary,
    Example,
    Export,
    Gate,
    Histogram,
    Latency,
    LossPoint,
    Memory,
    ModelSize,
    Quality,
    Recovery,
    Report,
    Scores,
    StageTime,
    SweepRow,
    Target,
    TargetPoint,
    TaskQuality,
    Tokens,
)
from worker.compression import quality_rows

BEFORE = [0, 4, 19, 33, 41, 38, 30, 24, 17, 12, 9, 6, 4, 3, 2, 1, 1, 0, 0, 2]
AFTER = [1, 17, 38, 52, 45, 34, 22, 14, 9, 6, 4, 2, 1, 1, 0, 0, 0, 0, 0, 0]
RUNTIMES = ("torch 2.13.0", "onnx", "onnx-int8")


def quality(kept: float) -> list[Quality]:
    return [
        Quality(metric="sentence_cosine", before=1.0, after=kept, retention=kept),
        Quality(metric="neighbour_overlap_10", before=1.0, after=kept - 0.2, retention=kept - 0.2),
    ]


def index_rows(*metrics: str, low: float | None = 0.96) -> list[Quality]:
    """Rows of searches in the base's index that keep 98.7 %."""
    return [
        Quality(
            metric=metric,
            before=0.8,
            after=0.8 * 0.987,
            retention=0.987,
            low=low,
            high=None if low is None else 1.01,
            items=30,
        )
        for metric in metrics
    ]


def latency(faster: float) -> list[Latency]:
    return [
        Latency(
            runtime=name,
            device="cpu",
            dtype="float32",
            threads=2,
            batch_size=batch,
            batches=32,
            includes_tokenization=True,
            before_ms=21.0 * batch,
            after_ms=after,
            speedup=21.0 * batch / after,
        )
        for n, name in enumerate(RUNTIMES)
        for batch in (1, 32)
        for after in [21.0 * batch / (faster * (1 + n))]
    ]


def exports(size: int, kept: float) -> list[Export]:
    return [
        Export(runtime="onnx", path="onnx/model.onnx", bytes=size, quality=quality(kept)),
        Export(
            runtime="onnx-int8",
            path="onnx/model_int8.onnx",
            bytes=size // 4,
            quality=quality(kept - 0.01),
        ),
    ]


def row(path: str, vocab_size: int, kept: float, faster: float) -> SweepRow:
    rows = 384 * vocab_size
    return SweepRow(
        path=path,
        vocab_size=vocab_size,
        parameters=10_992_768 + rows,
        embedding_parameters=rows,
        bytes=4 * (10_992_768 + rows),
        per_text=25.3,
        unk_rate=0.0,
        quality=quality(kept),
        latency=latency(faster),
        meets_gate=True,
        exports=exports(4 * (10_992_768 + rows), kept),
    )


def full_report(*tokens: str) -> Report:
    """A report of one size, with an example of these tokens."""
    return Report(
        base_model=BaseModelInfo(id="sentence-transformers/all-MiniLM-L6-v2", commit="c0ffee" * 6),
        corpus=CorpusSummary(sha256="a" * 64, documents=16716, held_out=817),
        base=ModelSize(
            vocab_size=30522,
            parameters=22_713_216,
            embedding_parameters=11_720_448,
            bytes=90_868_376,
        ),
        compressed=ModelSize(
            vocab_size=7630, parameters=13_922_688, embedding_parameters=2_929_920, bytes=55_702_080
        ),
        tokens=Tokens(
            copied=4008,
            averaged=3622,
            fallback=0,
            random=0,
            unk_pieces=0,
            texts=246,
            special_per_text=2,
            per_text_before=28.4,
            per_text_after=23.3,
            unk_rate_before=0.0,
            unk_rate_after=0.0,
            histogram=Histogram(width=5, before=BEFORE, after=AFTER),
        ),
        quality=quality(0.93),
        latency=latency(1.2),
        stages=[StageTime(name="tokenizer", seconds=6.5), StageTime(name="evaluate", seconds=25.0)],
        selection="usage",
        transfer_method="fvt",
        seed=0,
        gate=Gate(min_quality=0.9, max_bytes=None, misses=[]),
        exports=exports(55_600_000, 0.93),
        memory=[
            Memory(runtime="torch", before_bytes=560_000_000, after_bytes=480_000_000),
            Memory(runtime="onnx-int8", before_bytes=560_000_000, after_bytes=1 << 27),
        ],
        examples=[
            Example(
                saved="typical",
                before=["Ag", "ran", "ulo", "cyt", "osis", *tokens],
                after=["Agranulocytosis"],
            )
        ],
    )


def recovered(report: Report) -> Report:
    """The report with what a training leaves: the losses, step by step."""
    loss = [
        LossPoint(
            step=step,
            train=1 / (1 + step / 40),
            held_out=None if step % 100 else 0.9 / (1 + step / 50),
        )
        for step in range(0, 501, 20)
    ]
    recovery = Recovery(objective="auto", used="distill", loss=loss)
    return report.model_copy(update={"recovery": recovery})


def sweep_report() -> Report:
    """A sweep of four sizes; the second is chosen."""
    rows = [
        row("sizes/15261", 15261, 0.965, 1.15),
        row(".", 7630, 0.93, 1.2),
        row("sizes/3052", 3052, 0.86, 1.18),
        row("sizes/1526", 1526, 0.79, 1.05),
    ]
    return full_report().model_copy(update={"sweep": rows})


def target_report(*, met: bool = True) -> Report:
    """The sweep as the front of a target for int8 files: 1, 2, 3 and all layers."""
    report = sweep_report()
    rows = [
        row.model_copy(update={"layers": layers, "meets_target": met and row.path == "."})
        for row, layers in zip(report.sweep, (1, 2, 3, None), strict=True)
    ]
    seen = TargetPoint(
        vocab_size=7630,
        layers=2,
        bytes=13_925_520,
        ms=5.8,
        metric="sentence_cosine",
        kept=0.92,
        misses=[] if met else ["it has 13,925,520 bytes, but at most 5,000,000 were asked for"],
    )
    target = Target(
        max_bytes=15_000_000 if met else 5_000_000,
        max_ms=None,
        min_quality=0.9,
        metric=None,
        runtime="onnx-int8",
        batch_size=1,
        picked=seen if met else None,
        nearest=None if met else seen,
        reason="Of the 4 models that were made 1 meets the target.",
    )
    return report.model_copy(update={"sweep": rows, "target": target, "gate": None})


def any_report() -> Report:
    """The front of a target in any runtime: all files of four models, and static vectors of one."""
    report = target_report()
    assert report.target
    most = 15_000_000
    vectors = Export(
        runtime="static", path="static/model.safetensors", bytes=11_919_520, quality=quality(0.86)
    )
    rows = [
        row.model_copy(
            update={"exports": [*row.exports, vectors] if row.path == "." else row.exports}
        )
        for row in report.sweep
    ]
    front = [
        TargetPoint(
            vocab_size=row.vocab_size,
            layers=row.layers,
            bytes=size,
            ms=next((one.after_ms for one in row.latency if one.runtime.startswith(name)), None),
            metric="sentence_cosine",
            kept=kept[0].retention,
            misses=[f"it has {size:,} bytes, but at most {most:,} were asked for"]
            if size > most
            else [],
            runtime=name,
        )
        for row in rows
        for name, size, kept in (
            ("torch", row.bytes, row.quality),
            *((one.runtime, one.bytes, one.quality) for one in row.exports),
        )
    ]
    meeting = [seen for seen in front if not seen.misses]
    picked = next(seen for seen in meeting if seen.runtime == "onnx-int8" and seen.layers == 2)
    told = {
        "runtime": "any",
        "picked": picked,
        "front": front,
        "reason": f"Of the {len(front)} files of the 4 models that were made {len(meeting)} meet "
        "the target; that of 7,630 tokens and 2 layers in ONNX int8 keeps the most quality of "
        "these.",
    }
    update = {"sweep": rows, "target": report.target.model_copy(update=told)}
    return report.model_copy(update=update)


def with_task(report: Report, retention: float | None = 0.99) -> Report:
    """The report with a task of three seeds, of which the exports were not measured."""
    before, after = (
        Scores(values=[0.91, 0.92, 0.93], mean=0.92, spread=0.01),
        Scores(values=[0.9, 0.91, 0.92], mean=0.91, spread=0.01),
    )
    task = TaskQuality(
        type="sequence_classification",
        metric="macro_f1",
        seeds=3,
        before=before,
        after=after,
        retention=retention,
    )

    def told(one: Any) -> Any:
        return one.model_copy(update={"task": task, "quality": [*quality_rows(task), *one.quality]})

    whole: Report = told(report)
    return whole.model_copy(update={"sweep": [told(row) for row in report.sweep]})
