"""The report of a job out of what its stages left."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.contract.errors import JobError, UserFault
from app.contract.recipe import GateRecipe, Recipe, metric_fault
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
    TaskQuality,
    Tokens,
)
from worker.context import JobContext

Measured = Mapping[str, Any]
"""What the stage `evaluate` left of a size."""


def check_gate(recipe: Recipe, measured: Sequence[str]) -> None:
    """Refuse a gate on a metric that is none of the model's, `measured`, nor of the task."""
    metric, task = recipe.gate.metric, recipe.evaluation.task
    if metric is None or (task and metric == task.metric):
        return
    if metric not in measured:
        others = ", ".join(f"`{name}`" for name in measured)
        said = f"`{metric}` is not measured on this base model, but {others}: name one of these."
        raise UserFault("gate_metric_not_measured", metric_fault(metric, task) or said)


def misses(gate: GateRecipe, measured: Measured) -> list[str]:
    """What of the gate a size does not reach, for people."""
    found = []
    if gate.min_quality is not None:
        found += _quality_misses(gate.metric, gate.min_quality, measured)
    size = measured["compressed"]["bytes"]
    if gate.max_bytes is not None and size > gate.max_bytes:
        found.append(f"the weights have {size} bytes, {gate.max_bytes} were asked")
    return found


def _quality_misses(metric: str | None, least: float, measured: Measured) -> list[str]:
    rows, task = measured["quality"], measured.get("task")
    metric = metric or (task and task["metric"]) or (rows and rows[0]["metric"])
    if not metric:
        return ["no quality could be measured"]
    kept = next((row["retention"] for row in rows if row["metric"] == metric), None)
    if kept is None and task and task["metric"] == metric:
        return [f"the base scores {task['before']['mean']:.4f} in {metric}, of which none is kept"]
    if kept is None:
        return [f"{metric} could not be measured"]
    said = f"{metric} keeps {kept:.4f} of the base's, {least} was asked"
    return [said] if kept < least else []


def choose(gate: GateRecipe, sizes: Sequence[Measured]) -> Measured:
    """The smallest size that passes the gate; the first without a gate, or where none passes."""
    passing = [measured for measured in sizes if not misses(gate, measured)]
    if not any(gate.model_dump().values()) or not passing:
        return sizes[0]
    return min(passing, key=vocab_size)


def gate_error(gate: GateRecipe, sizes: Sequence[Measured]) -> JobError | None:
    """Why the job fails in spite of its result, where no size passes."""
    missed = {vocab_size(measured): misses(gate, measured) for measured in sizes}
    if not all(missed.values()):
        return None
    reasons = [f"with {size:,} tokens {' and '.join(found)}" for size, found in missed.items()]
    message = (
        f"The gate is not met: {'; '.join(reasons)}. The report and the result are kept. Ask for "
        "another size, or for less in `gate`, in a new job."
    )
    return JobError(type="user", code="gate_not_met", message=message, retryable=False)


def vocab_size(measured: Measured) -> int:
    """The tokens of a size."""
    size: int = measured["compressed"]["vocab_size"]
    return size


def build_report(context: JobContext) -> Report:
    """Collect the figures of all stages."""
    recipe = context.recipe
    base = context.read("resolve", "base.json")
    corpus = context.read("corpus", "corpus.json")
    measured = context.read("evaluate", "evaluation.json")
    chosen = choose(recipe.gate, measured["sizes"])
    counts = context.read("transfer", "counts.json")[str(vocab_size(chosen))]
    return Report(
        base_model=BaseModelInfo(id=base["id"], commit=base["commit"]),
        corpus=CorpusSummary(
            sha256=context.corpus.sha256, documents=corpus["documents"], held_out=corpus["held_out"]
        ),
        base=ModelSize(**measured["base"]),
        compressed=ModelSize(**chosen["compressed"]),
        tokens=_tokens(counts, chosen),
        quality=_quality(chosen),
        latency=_latency(chosen),
        stages=[
            StageTime(name=name, seconds=round(s, 3)) for name, s in context.stage_seconds.items()
        ],
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
    return Gate(
        min_quality=gate.min_quality,
        max_bytes=gate.max_bytes,
        misses=misses(gate, chosen),
        metric=gate.metric,
    )


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
