"""Train the in-domain tokenizers on what is not held out."""

from pathlib import Path

from worker.compression import required_tokens, texts_as_fed, train_tokenizers
from worker.context import JobContext, StageProgress


def train(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, named by its number of tokens: a domain tokenizer."""
    recipe, base, resolved = context.recipe, context.base, context.resolved
    tokenizers = train_tokenizers(
        base.tokenizer,
        texts_as_fed(base, context.training_texts()),
        resolved.target_vocab_sizes,
        selection=recipe.tokenizer.selection,
        keep_tokens=[*required_tokens(base.model, base.tokenizer), *resolved.keep_tokens],
        multiword=recipe.tokenizer.multiword,
        progress=progress,
    )
    for size, tokenizer in zip(resolved.target_vocab_sizes, tokenizers, strict=True):
        tokenizer.save_pretrained(folder / str(size))
