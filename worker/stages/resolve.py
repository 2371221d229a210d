"""Find the base model, pin it, and refuse early what cannot work."""

from pathlib import Path

from app.base_models.catalog import locate
from worker.compression import resolve_vocab_size
from worker.context import JobContext, StageProgress, write_json


def resolve(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `base.json`: the model's id, its source, its commit and the vocabulary to reach."""
    job = context.job
    progress(0.0, f"finding {job.base_model}")
    located = locate(job.base_model, job.revision, context.settings)
    pinned = {"id": located.id, "source": located.source, "commit": located.commit}
    write_json(folder / "base.json", pinned)
    progress(0.5, "loading the base model")
    vocab_size = resolve_vocab_size(context.recipe.vocab_size, context.base.tokenizer)
    write_json(folder / "base.json", {**pinned, "target_vocab_size": vocab_size})
