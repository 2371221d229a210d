"""The report of a job out of what its stages left."""

from typing import Any

from worker.compression import (
    BaseModel,
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
    TaskQuality,
    Tokens,
)
from worker.context import JobContext
from worker.gate import Measured, choose, misses, vocab_size


def build_report(context: JobContext) -> Report:
    """Collect the figures of all stages."""
    recipe = context.recipe
    base = context.read("resolve", "base.json")
    corpus = context.read("corpus", "corpus.json")
    measured = context.read("evaluate", "evaluation.json")
    chosen = choose(recipe.gate, measured["sizes"])
    counts = context.read("transfer", "counts.json")[str(vocab_size(chosen))]
    return Report(
        base_model=BaseModel(base["id"], base["commit"]),
        corpus=CorpusSummary(context.corpus.sha256, corpus["documents"], corpus["held_out"]),
        base=ModelSize(**measured["base"]),
        compressed=ModelSize(**chosen["compressed"]),
        tokens=_tokens(counts, chosen),
        quality=_quality(chosen),
        latency=_latency(chosen),
        stages=[StageTime(name, round(s, 3)) for name, s in context.stage_seconds.items()],
        selection=recipe.tokenizer.selection,
        transfer_method=recipe.transfer.method,
        seed=recipe.seed,
        recovery=_recovery(context, vocab_size(chosen)),
        multiword=recipe.tokenizer.multiword,
        gate=_gate(context, chosen),
        sweep=_sweep(context, measured["sizes"], chosen),
        **_of_exports(chosen),
        examples=[Example(**example) for example in chosen["examples"]],
        task=_task(chosen),
    )


def model_paths(context: JobContext) -> dict[str, int]:
    """The vocabulary of the model in each folder of the result; that at its root comes first."""
    sizes = context.read("evaluate", "evaluation.json")["sizes"]
    root = vocab_size(choose(context.recipe.gate, sizes))
    others = (vocab_size(measured) for measured in sizes)
    return {".": root} | {_path(size): size for size in others if size != root}


def _path(size: int) -> str:
    return f"sizes/{size}"


def _recovery(context: JobContext, size: int) -> Recovery:
    done = context.read("recover", "recovery.json")[str(size)]
    return Recovery(**{**done, "loss": [LossPoint(**point) for point in done["loss"]]})


def _gate(context: JobContext, chosen: Measured) -> Gate | None:
    gate = context.recipe.gate
    if gate.min_quality is None and gate.max_bytes is None:
        return None
    return Gate(gate.min_quality, gate.max_bytes, misses(gate, chosen), gate.metric)


def _sweep(context: JobContext, sizes: list[Measured], chosen: Measured) -> list[SweepRow]:
    if len(sizes) == 1:
        return []
    return [
        SweepRow(
            path="." if measured is chosen else _path(vocab_size(measured)),
            **measured["compressed"],
            per_text=measured["tokens"]["per_text_after"],
            unk_rate=measured["tokens"]["unk_rate_after"],
            quality=_quality(measured),
            latency=_latency(measured),
            meets_gate=not misses(context.recipe.gate, measured),
            **_of_exports(measured),
            task=_task(measured),
        )
        for measured in sizes
    ]


def _tokens(counts: dict[str, int], measured: Measured) -> Tokens:
    usage: dict[str, Any] = measured["tokens"]
    shape = Histogram(**usage["histogram"])
    return Tokens(**{**counts, **usage, "histogram": shape})


def _of_exports(measured: Measured) -> dict[str, Any]:
    exports = [Export(**{**row, "quality": _quality(row)}) for row in measured["exports"]]
    return {"exports": exports, "memory": [Memory(**row) for row in measured["memory"]]}


def _quality(measured: Measured) -> list[Quality]:
    return [Quality(**row) for row in measured["quality"]]


def _task(measured: Measured) -> TaskQuality | None:
    if (task := measured.get("task")) is None:
        return None
    scores = {name: Scores(**task[name]) for name in ("before", "after")}
    return TaskQuality(**{**task, **scores})


def _latency(measured: Measured) -> list[Latency]:
    return [Latency(**row) for row in measured["latency"]]


def headline(report: Report) -> dict[str, Any]:
    """The figures that the job itself shows."""
    base, compressed, tokens = report.base, report.compressed, report.tokens
    return {
        "vocab_size_before": base.vocab_size,
        "vocab_size_after": compressed.vocab_size,
        "parameters_before": base.parameters,
        "parameters_after": compressed.parameters,
        "bytes_before": base.bytes,
        "bytes_after": compressed.bytes,
        "size_ratio": round(base.bytes / compressed.bytes, 3),
        "tokens_per_text_before": round(tokens.per_text_before, 3),
        "tokens_per_text_after": round(tokens.per_text_after, 3),
        "speedup": {
            str(row.batch_size): round(row.speedup, 3)
            for row in report.latency
            if not row.runtime.startswith("onnx")
        },
        "quality": {row.metric: round(row.retention, 4) for row in report.quality},
    }
