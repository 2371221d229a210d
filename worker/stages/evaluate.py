"""Measure base and compressed models side by side on held-out text."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.compression import (
    load_model,
    measure_latency,
    measure_quality,
    measure_size,
    measure_tokens,
)
from worker.context import JobContext, StageProgress, nth_part, write_json
from worker.device import to_best_device


def evaluate(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `evaluation.json`: sizes, tokens per text, quality and latency of all models."""
    to_best_device(context.base.model)
    sizes = context.read("resolve", "base.json")["target_vocab_sizes"]
    measured = {
        "base": asdict(measure_size(context.base.folder)),
        "sizes": [
            _measure(
                context, context.output("transfer", str(size)), nth_part(progress, n, len(sizes))
            )
            for n, size in enumerate(sizes)
        ],
    }
    write_json(folder / "evaluation.json", measured)


def _measure(context: JobContext, model_folder: Path, progress: StageProgress) -> dict[str, Any]:
    base, compressed, recipe = context.base, load_model(model_folder), context.recipe
    to_best_device(compressed.model)
    texts = context.read("corpus", "held_out.json")
    usage = measure_tokens(base.tokenizer, compressed.tokenizer, texts, _part(progress, 0.0, 0.1))
    quality = measure_quality(
        base, compressed, texts, seed=recipe.seed, progress=_part(progress, 0.1, 0.5)
    )
    latency = (
        measure_latency(base, compressed, texts, progress=_part(progress, 0.5, 1.0))
        if recipe.evaluation.latency
        else []
    )
    return {
        "compressed": asdict(measure_size(compressed.folder)),
        "tokens": asdict(usage),
        "quality": [asdict(row) for row in quality],
        "latency": [asdict(row) for row in latency],
    }


def _part(progress: StageProgress, start: float, end: float) -> StageProgress:
    """The progress of a part, as progress of the stage."""
    return lambda fraction, message: progress(start + (end - start) * fraction, message)
