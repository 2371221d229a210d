"""Measure base and compressed models side by side on held-out text."""

from pathlib import Path
from typing import Any

from worker.compression import (
    LoadedModel,
    load_model,
    measure_exports,
    measure_latency,
    measure_memory,
    measure_quality,
    measure_size,
    measure_tokens,
    onnx_files,
    tokenized_examples,
)
from worker.compression.progress import part
from worker.context import JobContext, StageProgress, nth_part, to_device, write_json
from worker.labelled.scoring import score_sizes, with_task

USUAL_SECONDS = 25
"""Without a task."""


def evaluate(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `evaluation.json`: sizes, tokens, quality, latency, memory, exports of all models.

    With a task, its scores come first: the base's once, and one of each size.
    """
    to_device(context.base.model, context.settings)
    sizes = context.read("resolve", "base.json")["target_vocab_sizes"]
    share = context.task_seconds / (context.task_seconds + USUAL_SECONDS)
    tasks = score_sizes(context, sizes, part(progress, 0.0, share))
    rest = part(progress, share, 1.0)
    measured = {
        "base": measure_size(context.base.folder).model_dump(),
        "sizes": [
            with_task(_measure(context, size, nth_part(rest, n, len(sizes))), tasks.get(size))
            for n, size in enumerate(sizes)
        ],
    }
    write_json(folder / "evaluation.json", measured)


def _measure(context: JobContext, size: int, progress: StageProgress) -> dict[str, Any]:
    base, compressed = context.base, load_model(context.final_model(size))
    texts = context.read("corpus", "held_out.json")
    to_device(compressed.model, context.settings)
    usage = measure_tokens(base.tokenizer, compressed.tokenizer, texts, part(progress, 0.0, 0.1))
    quality = measure_quality(
        base, compressed, texts, seed=context.recipe.seed, progress=part(progress, 0.1, 0.4)
    )
    examples = tokenized_examples(base.tokenizer, compressed.tokenizer, texts)
    files = _files(context, size)
    exports = measure_exports(
        base,
        compressed,
        context.exported(size),
        texts,
        seed=context.recipe.seed,
        progress=part(progress, 0.4, 0.7),
    )
    return {
        "compressed": measure_size(compressed.folder).model_dump(),
        "tokens": usage.model_dump(),
        "examples": [example.model_dump() for example in examples],
        "quality": [row.model_dump() for row in quality],
        "exports": [row.model_dump() for row in exports],
        **_cost(context, compressed, files, texts, part(progress, 0.7, 1.0)),
    }


def _cost(
    context: JobContext,
    compressed: LoadedModel,
    files: dict[str, Path],
    texts: list[str],
    progress: StageProgress,
) -> dict[str, Any]:
    """Time and memory, where they are asked for."""
    base, wanted = context.base, context.recipe.evaluation
    latency, memory = [], []
    if wanted.latency:
        own = part(progress, 0.0, 0.7)
        latency = measure_latency(base, compressed, texts, files=files, progress=own)
    if wanted.memory:
        own = part(progress, 0.7, 1.0)
        memory = measure_memory(base.folder, compressed.folder, files, texts, own)
    return {
        "latency": [row.model_dump() for row in latency],
        "memory": [row.model_dump() for row in memory],
    }


def _files(context: JobContext, size: int) -> dict[str, Path]:
    folder = context.exported(size)
    return {file.runtime: folder / file.path for file in onnx_files(folder)}
