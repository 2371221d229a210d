"""Find the base model, pin it, and refuse early what cannot work."""

from dataclasses import replace
from pathlib import Path

from app.contract.recipe import FineTuning
from app.contract.results import ResolvedBase
from app.estimates.sizes import fitting_points, read_grid
from worker.compression import (
    check_exportable,
    check_head,
    check_installed,
    check_multiword,
    check_output,
    exportable,
    quality_metrics,
    resolve_keep_tokens,
    resolve_vocab_size,
    try_model,
)
from worker.context import JobContext, StageProgress
from worker.gate import check_metric
from worker.target import planned


def resolve(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `base.json`: the model's id, its source, its commit, the vocabularies to reach."""
    job, recipe = context.job, context.recipe
    # Before a download of gigabytes.
    check_installed(recipe.runtimes)
    progress(0.0, f"finding {job.base_model}")
    located = context.locate(job.revision)
    progress(0.5, "loading the base model")
    base = context.base
    context.check_room()
    try_model(base)
    if (recipe.target or recipe.gate).metric:
        check_metric(recipe, quality_metrics(base))
    if isinstance(recipe.evaluation.task, FineTuning):
        check_head(base, recipe.evaluation.task.type)
    elif recipe.evaluation.task:
        check_output(base, recipe.evaluation.task.type)
    check_exportable(base, recipe.runtimes)
    if recipe.tokenizer.multiword:
        check_multiword(base.tokenizer)
    sizes, candidates = [resolve_vocab_size(size, base.tokenizer) for size in recipe.sizes], []
    if target := recipe.target:
        found = read_grid(context.base_folder, len(base.tokenizer))
        found = replace(found, runtimes=exportable(base, found.runtimes))
        candidates = fitting_points(located.id, found, target)
        sizes = [point.vocab_size for point in planned(target, candidates)]
    resolved = ResolvedBase(
        id=located.id,
        source=located.source,
        commit=located.commit,
        target_vocab_sizes=list(dict.fromkeys(sizes)),
        keep_tokens=resolve_keep_tokens(base.tokenizer, recipe.tokenizer.keep_tokens),
        candidates=candidates,
    )
    resolved.write(folder / "base.json")
