"""Train the in-domain tokenizer on what is not held out."""

from pathlib import Path

from worker.compression import required_tokens, train_tokenizer, training_texts
from worker.context import JobContext, StageProgress


def train(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave the domain tokenizer's own files."""
    recipe, base = context.recipe, context.base
    keep = [*required_tokens(base.model, base.tokenizer), *recipe.tokenizer.keep_tokens]
    tokenizer = train_tokenizer(
        base.tokenizer,
        training_texts(context.documents, recipe.evaluation.holdout_fraction, recipe.seed),
        context.read("resolve", "base.json")["target_vocab_size"],
        selection=recipe.tokenizer.selection,
        keep_tokens=keep,
        progress=progress,
    )
    tokenizer.save_pretrained(folder)
