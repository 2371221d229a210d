"""Give the base model the domain vocabulary."""

from dataclasses import asdict
from pathlib import Path

from worker.compression import (
    load_model,
    load_tokenizer,
    save_model,
    transfer_vocabulary,
    write_vocabulary,
)
from worker.context import JobContext, StageProgress, write_json


def transfer(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `model/`, which loads as it is, with `vocabulary.jsonl`; and `counts.json`."""
    recipe, base = context.recipe, load_model(context.located.path)
    domain_tokenizer = load_tokenizer(context.workspace.root / "tokenizer")
    done = transfer_vocabulary(
        base.model,
        base.tokenizer,
        domain_tokenizer,
        method=recipe.transfer.method,
        seed=recipe.seed,
        progress=progress,
    )
    model_folder = folder / "model"
    save_model(model_folder, done.model, domain_tokenizer, base.folder)
    write_vocabulary(model_folder, done.partitions)
    write_json(folder / "counts.json", asdict(done.counts))
