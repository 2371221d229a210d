"""Give the base model the domain vocabularies."""

from pathlib import Path

from app.contract.report import TransferCounts
from app.contract.results import TokenizerResult, TransferResult
from worker.compression import (
    LoadedModel,
    load_tokenizer,
    save_model,
    transfer_vocabulary,
    write_vocabulary,
)
from worker.context import JobContext, StageProgress, nth_part


def transfer(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, a model with its `vocabulary.jsonl`; and `counts.json`."""
    counts = dict[int, TransferCounts]()
    base, recipe, sizes = context.base, context.recipe, context.vocab_sizes
    coverage = context.read(TokenizerResult, "tokenizer", "coverage.json").root
    for number, size in enumerate(sizes):
        model_folder = folder / str(size)
        domain_tokenizer = load_tokenizer(context.output("tokenizer", str(size)), base.kind)
        transferred = transfer_vocabulary(
            base.model,
            base.tokenizer,
            domain_tokenizer,
            method=recipe.transfer.method,
            seed=recipe.seed,
            progress=nth_part(progress, number, len(sizes)),
        )
        save_model(model_folder, transferred.model, domain_tokenizer, base.folder)
        write_vocabulary(model_folder, transferred.partitions, coverage[size].reasons)
        counts[size] = transferred.counts
        context.keep_student(size, LoadedModel(transferred.model, domain_tokenizer, model_folder))
    TransferResult(counts).write(folder / "counts.json")
