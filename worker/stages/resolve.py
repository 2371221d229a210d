"""Find the base model, pin it, and refuse early what cannot work."""

from pathlib import Path

from app.base_models.catalog import locate
from app.contract.recipe import FineTuning
from worker.compression import (
    check_exportable,
    check_head,
    check_multiword,
    quality_metrics,
    resolve_keep_tokens,
    resolve_vocab_size,
)
from worker.context import JobContext, StageProgress, write_json
from worker.report import check_gate


def resolve(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `base.json`: the model's id, its source, its commit, the vocabularies to reach."""
    job = context.job
    progress(0.0, f"finding {job.base_model}")
    located = locate(job.base_model, job.revision, context.settings)
    pinned = {"id": located.id, "source": located.source, "commit": located.commit}
    write_json(folder / "base.json", pinned)
    progress(0.5, "loading the base model")
    recipe, tokenizer = context.recipe, context.base.tokenizer
    if recipe.gate.metric:
        check_gate(recipe, quality_metrics(context.base))
    if isinstance(recipe.evaluation.task, FineTuning):
        check_head(context.base, recipe.evaluation.task.type)
    if recipe.export.wanted:
        check_exportable(context.base.model)
    if recipe.tokenizer.multiword:
        check_multiword(tokenizer)
    found = {
        "target_vocab_sizes": [
            *dict.fromkeys(resolve_vocab_size(s, tokenizer) for s in recipe.sizes)
        ],
        "keep_tokens": resolve_keep_tokens(tokenizer, recipe.tokenizer.keep_tokens),
    }
    write_json(folder / "base.json", pinned | found)
