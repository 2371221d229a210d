"""Train the in-domain tokenizers on what is not held out."""

from pathlib import Path

from worker.compression import required_tokens, train_tokenizers, training_texts
from worker.context import JobContext, StageProgress


def train(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, named by its number of tokens: a domain tokenizer."""
    recipe, base = context.recipe, context.base
    resolved = context.read("resolve", "base.json")
    sizes = resolved["target_vocab_sizes"]
    tokenizers = train_tokenizers(
        base.tokenizer,
        training_texts(context.documents, recipe.evaluation.holdout_fraction, recipe.seed),
        sizes,
        selection=recipe.tokenizer.selection,
        keep_tokens=[*required_tokens(base.model, base.tokenizer), *resolved["keep_tokens"]],
        multiword=recipe.tokenizer.multiword,
        progress=progress,
    )
    for size, tokenizer in zip(sizes, tokenizers, strict=True):
        tokenizer.save_pretrained(folder / str(size))
