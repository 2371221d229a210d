"""Give the base model the domain vocabularies."""

from pathlib import Path

from app.contract.report import TransferCounts
from worker.compression import (
    LoadedModel,
    load_model,
    load_tokenizer,
    save_model,
    transfer_vocabulary,
    write_vocabulary,
)
from worker.context import JobContext, StageProgress, nth_part, write_json


def transfer(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, a model with its `vocabulary.jsonl`; and `counts.json`."""
    base, counts = load_model(context.located.path), {}
    sizes = context.read("resolve", "base.json")["target_vocab_sizes"]
    for number, size in enumerate(sizes):
        own = nth_part(progress, number, len(sizes))
        counts[size] = _transfer(context, base, folder / str(size), own).model_dump()
    write_json(folder / "counts.json", counts)


def _transfer(
    context: JobContext, base: LoadedModel, model_folder: Path, progress: StageProgress
) -> TransferCounts:
    recipe = context.recipe
    domain_tokenizer = load_tokenizer(context.output("tokenizer", model_folder.name))
    done = transfer_vocabulary(
        base.model,
        base.tokenizer,
        domain_tokenizer,
        method=recipe.transfer.method,
        seed=recipe.seed,
        progress=progress,
    )
    save_model(model_folder, done.model, domain_tokenizer, base.folder)
    write_vocabulary(model_folder, done.partitions)
    return done.counts
