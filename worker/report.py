"""The report of a job out of what its stages left."""

from typing import Any

from worker.compression import (
    BaseModel,
    CorpusSummary,
    Latency,
    ModelSize,
    Quality,
    Recovery,
    Report,
    StageTime,
    Tokens,
)
from worker.context import JobContext


def build_report(context: JobContext) -> Report:
    """Collect the figures of all stages."""
    recipe = context.recipe
    base = context.read("resolve", "base.json")
    corpus = context.read("corpus", "corpus.json")
    measured = context.read("evaluate", "evaluation.json")
    return Report(
        base_model=BaseModel(base["id"], base["commit"]),
        corpus=CorpusSummary(context.corpus.sha256, corpus["documents"], corpus["held_out"]),
        base=ModelSize(**measured["base"]),
        compressed=ModelSize(**measured["compressed"]),
        tokens=Tokens(**context.read("transfer", "counts.json"), **measured["tokens"]),
        quality=[Quality(**row) for row in measured["quality"]],
        latency=[Latency(**row) for row in measured["latency"]],
        stages=[StageTime(name, round(s, 3)) for name, s in context.stage_seconds.items()],
        selection=recipe.tokenizer.selection,
        transfer_method=recipe.transfer.method,
        seed=recipe.seed,
        recovery=Recovery(objective=recipe.recovery.objective, used="none"),
    )


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
        "speedup": {str(row.batch_size): round(row.speedup, 3) for row in report.latency},
        "quality": {row.metric: round(row.retention, 4) for row in report.quality},
    }
