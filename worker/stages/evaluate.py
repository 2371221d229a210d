"""Measure base and compressed model side by side on held-out text."""

from dataclasses import asdict
from pathlib import Path

from worker.compression import (
    Latency,
    LoadedModel,
    load_model,
    measure_latency,
    measure_quality,
    measure_size,
    measure_tokens,
)
from worker.context import JobContext, StageProgress, write_json
from worker.device import to_best_device


def evaluate(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `evaluation.json`: sizes, tokens per text, quality and latency of both models."""
    base, compressed = context.base, load_model(context.output("transfer", "model"))
    for loaded in (base, compressed):
        to_best_device(loaded.model)
    texts = context.read("corpus", "held_out.json")
    tokens, quality = _part(progress, 0.0, 0.1), _part(progress, 0.1, 0.5)
    measured = {
        "base": asdict(measure_size(base.folder)),
        "compressed": asdict(measure_size(compressed.folder)),
        "tokens": asdict(measure_tokens(base.tokenizer, compressed.tokenizer, texts, tokens)),
        "quality": [
            asdict(row)
            for row in measure_quality(
                base, compressed, texts, seed=context.recipe.seed, progress=quality
            )
        ],
        "latency": [
            asdict(row) for row in _latency(context, compressed, texts, _part(progress, 0.5, 1.0))
        ],
    }
    write_json(folder / "evaluation.json", measured)


def _latency(
    context: JobContext, compressed: LoadedModel, texts: list[str], progress: StageProgress
) -> list[Latency]:
    if not context.recipe.evaluation.latency:
        return []
    return measure_latency(context.base, compressed, texts, progress=progress)


def _part(progress: StageProgress, start: float, end: float) -> StageProgress:
    """The progress of a part, as progress of the stage."""
    return lambda fraction, message: progress(start + (end - start) * fraction, message)
