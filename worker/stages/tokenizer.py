"""Train the in-domain tokenizers on what is not held out."""

from pathlib import Path

from app.contract.results import HeldOutSample
from worker.compression import load_tokenizer, required_tokens, texts_as_fed, train_tokenizers
from worker.compression.tokenizers.behaviour import check_behaviour
from worker.context import JobContext, StageProgress


def train(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, named by its number of tokens: a tokenizer that does as the base's."""
    held_out = context.read(HeldOutSample, "corpus", "held_out.json").root
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
        # Here a tokenizer that does not do as its base costs seconds, after recovery hours.
        check_behaviour(base.tokenizer, load_tokenizer(folder / str(size), base.kind), held_out)
