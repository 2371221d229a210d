"""Train the in-domain tokenizers on what is not held out."""

from pathlib import Path

from app.contract.report import VocabularyCoverage
from app.contract.results import HeldOutSample, TokenizerResult
from worker.compression import (
    corpus_words,
    explain_vocabulary,
    load_tokenizer,
    required_tokens,
    texts_as_fed,
    train_tokenizers,
)
from worker.compression.progress import part
from worker.compression.tokenizers.behaviour import check_behaviour
from worker.context import JobContext, StageProgress


def train(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, named by its number of tokens: a tokenizer that does as the base's.

    `coverage.json` says why each of its tokens stands.
    """
    held_out = context.read(HeldOutSample, "corpus", "held_out.json").root
    recipe, base, resolved = context.recipe, context.base, context.resolved
    keep_tokens = [*required_tokens(base.model, base.tokenizer), *resolved.keep_tokens]
    texts = texts_as_fed(base, context.training_texts())
    words = corpus_words(base.tokenizer, texts, part(progress, 0.0, 0.2))
    tokenizers = train_tokenizers(
        base.tokenizer,
        texts,
        resolved.target_vocab_sizes,
        selection=recipe.tokenizer.selection,
        keep_tokens=keep_tokens,
        multiword=recipe.tokenizer.multiword,
        words=words,
        progress=part(progress, 0.2, 0.9),
    )
    coverage = dict[int, VocabularyCoverage]()
    for size, tokenizer in zip(resolved.target_vocab_sizes, tokenizers, strict=True):
        tokenizer.save_pretrained(folder / str(size))
        # Here a tokenizer that does not do as its base costs seconds, after recovery hours.
        check_behaviour(base.tokenizer, load_tokenizer(folder / str(size), base.kind), held_out)
        coverage[size] = explain_vocabulary(base.tokenizer, tokenizer, words, keep_tokens)
    TokenizerResult(coverage).write(folder / "coverage.json")
