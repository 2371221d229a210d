"""Measure base and compressed models side by side on held-out text."""

from pathlib import Path

from app.contract.results import EvaluatedSize, Evaluation, HeldOutSample
from worker.compression import (
    exported_files,
    measure_exports,
    measure_latency,
    measure_memory,
    measure_quality,
    measure_size,
    measure_tokens,
    texts_as_fed,
    tokenized_examples,
)
from worker.compression.progress import part
from worker.context import JobContext, StageProgress, nth_part, to_device
from worker.labelled.scoring import score_sizes

USUAL_SECONDS = 25
"""Without a task."""


def evaluate(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `evaluation.json`: sizes, tokens, quality, latency, memory, exports of all models.

    With a task, its scores come first: the base's once, and one of each size.
    """
    to_device(context.base.model, context.settings)
    sizes = context.resolved.target_vocab_sizes
    share = context.task_seconds / (context.task_seconds + USUAL_SECONDS)
    scored = score_sizes(context, sizes, part(progress, 0.0, share))
    rest = part(progress, share, 1.0)
    measured = list[EvaluatedSize]()
    for number, size in enumerate(sizes):
        row = _measure(context, size, nth_part(rest, number, len(sizes)))
        measured.append(scored[size].added_to(row) if scored else row)
    Evaluation(base=measure_size(context.base), sizes=measured).write(folder / "evaluation.json")


def _measure(context: JobContext, size: int, progress: StageProgress) -> EvaluatedSize:
    """Measure the model of one size, and what was exported of it, without the task."""
    base, compressed, wanted = context.base, context.final(size), context.recipe.evaluation
    texts = context.read(HeldOutSample, "corpus", "held_out.json").root
    to_device(compressed.model, context.settings)
    exported = context.exported_folder(size)
    files = {file.runtime: exported / file.path for file in exported_files(exported)}
    as_fed = list(texts_as_fed(base, lambda: texts)())
    tokens = measure_tokens(base.tokenizer, compressed.tokenizer, as_fed, part(progress, 0.0, 0.1))
    seed = context.recipe.seed
    quality = measure_quality(base, compressed, texts, seed=seed, progress=part(progress, 0.1, 0.4))
    exports = measure_exports(
        base, compressed, exported, texts, seed=seed, progress=part(progress, 0.4, 0.7)
    )
    latency, memory = [], []
    if wanted.latency:
        own = part(progress, 0.7, 0.9)
        latency = measure_latency(base, compressed, texts, files=files, progress=own)
    if wanted.memory:
        own = part(progress, 0.9, 1.0)
        memory = measure_memory(base.folder, compressed.folder, files, as_fed, own)
    return EvaluatedSize(
        compressed=measure_size(compressed),
        tokens=tokens,
        examples=tokenized_examples(base.tokenizer, compressed.tokenizer, as_fed),
        quality=quality,
        exports=exports,
        latency=latency,
        memory=memory,
    )
