"""The report of a job out of what its stages left."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from app.contract.errors import JobError
from app.contract.names import ANY, BASELINE, runtime_label, runtime_name
from app.contract.points import Point
from app.contract.report import (
    BaseModelInfo,
    CorpusSummary,
    Gate,
    Report,
    StageTime,
    SweepRow,
    Tokens,
    TokenUsage,
    VocabularyCoverage,
)
from app.contract.results import (
    CorpusSplit,
    EvaluatedSize,
    Evaluation,
    ExportResult,
    Headline,
    RecoveryResult,
    TokenizerResult,
    TransferResult,
)
from app.contract.verdict import caveats, verdict
from worker.context import JobContext
from worker.gate import choose, gate_error, misses
from worker.target import Pick, pick, target_error

_RISING_UNK_RATE = 1e-4
"""More unknown tokens than the base's, as a share of all, that a reader is warned of."""


def read_evaluation(context: JobContext) -> Evaluation:
    """Read what the stage `evaluate` left."""
    return context.read(Evaluation, "evaluate", "evaluation.json")


def build_report(context: JobContext) -> Report:
    """Collect the figures of all stages."""
    recipe, resolved, evaluation = context.recipe, context.resolved, read_evaluation(context)
    corpus = context.read(CorpusSplit, "corpus", "corpus.json")
    picked = pick_for(context, evaluation)
    chosen = picked.measured if picked else choose(recipe.gate, evaluation.sizes)
    counts = context.read(TransferResult, "transfer", "counts.json").root[chosen.vocab_size]
    recovery = context.read(RecoveryResult, "recover", "recovery.json").root[chosen.point.key]
    coverage = context.read(TokenizerResult, "tokenizer", "coverage.json").root[chosen.vocab_size]
    report = Report(
        base_model=BaseModelInfo(id=resolved.id, commit=resolved.commit),
        corpus=CorpusSummary(
            sha256=context.corpus.sha256, documents=corpus.documents, held_out=corpus.held_out
        ),
        base=evaluation.base,
        compressed=chosen.compressed,
        tokens=Tokens(
            **dict(counts),
            **dict(chosen.tokens),
            expected_unk_rate=coverage.expected_unk_rate,
        ),
        quality=chosen.quality,
        latency=chosen.latency,
        stages=[
            StageTime(name=name, seconds=round(seconds, 3))
            for name, seconds in context.stage_seconds.items()
        ],
        selection=recipe.tokenizer.selection,
        transfer_method=recipe.transfer.method,
        seed=recipe.seed,
        job_id=context.job.id,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=recipe.model_dump(mode="json"),
        recovery=recovery,
        multiword=recipe.tokenizer.multiword,
        gate=_gate(context, chosen),
        target=picked.target if picked else None,
        sweep=list(_sweep(context, evaluation, chosen, picked)),
        exports=chosen.exports,
        memory=chosen.memory,
        examples=chosen.examples,
        task=chosen.task,
    )
    unknown = unknown_warnings(chosen.tokens, coverage, has_target=recipe.target is not None)
    warnings = [*caveats(report), *unknown]
    if recipe.target and recipe.target.runtime == ANY:
        left_out = context.read(ExportResult, "export", "left_out.json").root
        warnings += export_warnings(left_out)
    warnings += unscored_warnings([measured.unscored for measured in evaluation.sizes])
    told = {"warnings": warnings, "verdict": verdict(report)}
    return report.model_copy(update=told)


def unknown_warnings(
    tokens: TokenUsage, coverage: VocabularyCoverage, *, has_target: bool = False
) -> Iterator[str]:
    """Say where the compressed model reads less than the base does.

    With a target no larger vocabulary can be asked for.
    """
    larger = "" if has_target else "a larger vocabulary, or for "
    # As counts a text: a vocabulary with fewer tokens has a higher rate of the same unknown ones.
    before = tokens.unk_rate_before * tokens.per_text_before
    after = tokens.unk_rate_after * tokens.per_text_after
    if after > before and after - before > _RISING_UNK_RATE * tokens.per_text_after:
        yield (
            f"Unknown tokens rise: {tokens.unk_rate_after:.2%} of the tokens of held-out texts, "
            f"{tokens.unk_rate_before:.2%} with the base. Ask for {larger}the "
            "characters in `keep_tokens`."
        )
    if coverage.new_unk_rate > _RISING_UNK_RATE:
        yield (
            f"Of {1 / coverage.new_unk_rate:,.0f} tokens of unseen text like the corpus's one is "
            "expected to be unknown that the base reads: there is no room for "
            f"{coverage.lost_familiar:,} characters of the corpus's scripts. Ask for {larger}"
            "some of them in `keep_tokens` where texts of other subjects are to be read."
        )


def export_warnings(left_out: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Say which runtimes were not weighed, and why, each reason once."""
    reasons = {
        (runtime, reason): None for files in left_out.values() for runtime, reason in files.items()
    }
    for runtime, reason in reasons:
        yield f"{runtime_label(runtime)} was not weighed for some models: {reason}"


def unscored_warnings(unscored: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Say on which files of fine-tuned models the task has no score, and why, each reason once."""
    for runtime, reason in dict.fromkeys(pair for files in unscored for pair in files.items()):
        label = runtime_label(runtime)
        yield f"The task has no score of the {label} file of some models, once fine-tuned: {reason}"


def pick_for(context: JobContext, evaluation: Evaluation) -> Pick | None:
    """Pick the model of a job with a target; None for a job without."""
    recipe = context.recipe
    return pick(recipe.target, evaluation.sizes) if recipe.target else None


def shortfall(context: JobContext) -> JobError | None:
    """Return why the job fails in spite of its result: its gate or its target is not met."""
    evaluation = read_evaluation(context)
    if picked := pick_for(context, evaluation):
        return target_error(picked.target)
    return gate_error(context.recipe.gate, evaluation.sizes)


def model_paths(context: JobContext) -> dict[str, Point]:
    """Return the point of the model in each folder of the result, its root first."""
    evaluation = read_evaluation(context)
    picked = pick_for(context, evaluation)
    chosen = picked.measured if picked else choose(context.recipe.gate, evaluation.sizes)
    root, others = chosen.point, (measured.point for measured in evaluation.sizes)
    return {".": root} | {_path(point): point for point in others if point != root}


def _path(point: Point) -> str:
    return f"sizes/{point.key}"


def _gate(context: JobContext, chosen: EvaluatedSize) -> Gate | None:
    gate = context.recipe.gate
    if gate.min_quality is None and gate.max_bytes is None:
        return None
    return Gate(
        min_quality=gate.min_quality,
        max_bytes=gate.max_bytes,
        misses=misses(gate, chosen),
        metric=gate.metric,
    )


def _sweep(
    context: JobContext, evaluation: Evaluation, chosen: EvaluatedSize, picked: Pick | None
) -> Iterator[SweepRow]:
    """Yield a row a model where there are several, and of each for a target."""
    for measured in evaluation.sizes if picked or len(evaluation.sizes) > 1 else ():
        yield SweepRow(
            **dict(measured.compressed),
            path="." if measured is chosen else _path(measured.point),
            per_text=measured.tokens.per_text_after,
            unk_rate=measured.tokens.unk_rate_after,
            quality=measured.quality,
            latency=measured.latency,
            meets_gate=not misses(context.recipe.gate, measured),
            exports=measured.exports,
            memory=measured.memory,
            task=measured.task,
            layers=measured.layers or context.recipe.recovery.keep_layers,
            meets_target=measured in picked.meeting if picked else None,
        )


def headline(report: Report) -> Headline:
    """Return the figures that the job itself shows."""
    base, compressed, tokens = report.base, report.compressed, report.tokens
    return Headline(
        vocab_size_before=base.vocab_size,
        vocab_size_after=compressed.vocab_size,
        parameters_before=base.parameters,
        parameters_after=compressed.parameters,
        bytes_before=base.bytes,
        bytes_after=compressed.bytes,
        size_ratio=round(base.bytes / compressed.bytes, 3),
        tokens_per_text_before=round(tokens.per_text_before, 3),
        tokens_per_text_after=round(tokens.per_text_after, 3),
        speedup={
            str(row.batch_size): round(row.speedup, 3)
            for row in report.latency
            if runtime_name(row.runtime) == BASELINE
        },
        quality={row.metric: round(row.retention, 4) for row in report.quality},
        verdict=report.verdict,
    )
