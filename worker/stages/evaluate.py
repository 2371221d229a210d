"""Measure base and compressed models side by side on held-out text."""

import time
from functools import partial
from pathlib import Path

from app.contract.budgets import evaluation_seconds
from app.contract.points import Point
from app.contract.recipe import Recipe
from app.contract.results import EvaluatedSize, Evaluation, HeldOutSample
from worker.compression import (
    add_cut_texts,
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
from worker.compression.evaluation.clock import Clock
from worker.compression.evaluation.latency import LATENCY_BATCH_SIZES
from worker.compression.progress import part
from worker.context import JobContext, StageProgress, nth_part, to_device
from worker.labelled.scoring import score_points

USUAL_SECONDS = 45
"""Without a task."""
_WORK = {"quality": 3.0, "exports": 3.0, "latency": 4.0, "memory": 2.0}
"""Shares of the time; what one leaves the next ones have."""
_TOKENS = 0.02
"""Of the progress, to count tokens."""


def evaluate(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `evaluation.json`: sizes, tokens, quality, latency, memory, exports of all models.

    With a task, its scores come first: the base's once, and one of each size. All else has a
    limit of time, and reads fewer texts where that is short.
    """
    began = time.monotonic()
    to_device(context.base.model, context.settings)
    points = context.points
    share = context.task_seconds / (context.task_seconds + USUAL_SECONDS)
    scored = score_points(context, points, part(progress, 0.0, share))
    rest, base = part(progress, share, 1.0), measure_size(context.base)
    spent = sum(context.stage_seconds.values()) + time.monotonic() - began
    clock = Clock(evaluation_seconds(spent, base.parameters, len(points)))
    measured = list[EvaluatedSize]()
    for number, point in enumerate(points):
        own = Clock(clock.share(1, len(points) - number))
        row = _measure(context, point, own, nth_part(rest, number, len(points)))
        measured.append(scored[point].added_to(row) if scored else row)
    Evaluation(base=base, sizes=measured).write(folder / "evaluation.json")


def _measure(
    context: JobContext, point: Point, clock: Clock, progress: StageProgress
) -> EvaluatedSize:
    """Measure the model of one point, and what was exported of it, without the task."""
    base, compressed, wanted = context.base, context.final(point), context.recipe.evaluation
    texts = context.read(HeldOutSample, "corpus", "held_out.json").root
    to_device(compressed.model, context.settings)
    exported = context.exported_folder(point)
    files = {file.runtime: exported / file.path for file in exported_files(exported)}
    as_fed = list(texts_as_fed(base, lambda: texts)())
    tokens = measure_tokens(
        base.tokenizer, compressed.tokenizer, as_fed, part(progress, 0.0, _TOKENS)
    )
    tokens = add_cut_texts(tokens, base, compressed, texts)
    is_wanted = {"exports": bool(files), "latency": wanted.latency, "memory": wanted.memory}
    work = {name: of for name, of in _WORK.items() if is_wanted.get(name, True)}
    begin = partial(begin_measurement, work=work, clock=clock, progress=progress)
    seed = context.recipe.seed
    limit, own = begin("quality")
    quality = measure_quality(base, compressed, texts, seed=seed, seconds=limit, progress=own)
    exports, latency, memory = [], [], []
    if files:
        limit, own = begin("exports")
        exports = measure_exports(
            *(base, compressed, exported, texts), seed=seed, seconds=limit, progress=own
        )
    if wanted.latency:
        limit, own = begin("latency")
        latency = measure_latency(
            *(base, compressed, texts),
            files=files,
            batch_sizes=_batch_sizes(context.recipe),
            seconds=limit,
            progress=own,
        )
    if wanted.memory:
        limit, own = begin("memory")
        memory = measure_memory(base.folder, compressed.folder, files, as_fed, own, seconds=limit)
    return EvaluatedSize(
        compressed=measure_size(compressed),
        tokens=tokens,
        examples=tokenized_examples(base.tokenizer, compressed.tokenizer, as_fed),
        quality=quality,
        exports=exports,
        latency=latency,
        memory=memory,
        layers=point.layers,
    )


def begin_measurement(
    name: str, work: dict[str, float], clock: Clock, progress: StageProgress
) -> tuple[float, StageProgress]:
    """Return a measurement's share of the time that is left for it and the next, and its progress.

    That is of the time, not of the work: what leaves time is soon done, and the others take it.
    """
    following = list(work)[list(work).index(name) :]
    whole, left = clock.seconds or 0.0, clock.left or 0.0
    own = clock.share(work[name], sum(work[one] for one in following)) or 0.0
    # The models before may have used up the time of this one.
    begun, ended = (1 - left / whole, 1 - (left - own) / whole) if whole else (1.0, 1.0)
    return own, part(progress, begun, ended)


def _batch_sizes(recipe: Recipe) -> list[int]:
    asked = [recipe.target.batch_size] if recipe.target else []
    return sorted({*LATENCY_BATCH_SIZES, *asked})
