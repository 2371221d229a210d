"""Train the in-domain tokenizers on what is not held out."""

from collections.abc import Callable, Sequence
from pathlib import Path

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.points import FRACTIONS, SizedPoint
from app.contract.recipe import TargetRecipe
from app.contract.report import VocabularyCoverage
from app.contract.results import HeldOutSample, PlannedPoints, TokenizerResult
from worker.compression import (
    CompressionError,
    CorpusTooSmallError,
    TooFewWordGroupsError,
    VocabSizeBelowFloorError,
    corpus_words,
    explain_vocabulary,
    load_tokenizer,
    required_tokens,
    texts_as_fed,
    train_tokenizers,
)
from worker.compression.progress import part
from worker.compression.tokenizers.behaviour import check_behaviour
from worker.context import JobContext, StageProgress, nth_part
from worker.target import planned

Tokenizers = dict[int, PreTrainedTokenizerBase]


def train(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, named by its number of tokens: a tokenizer that does as the base's.

    `coverage.json` says why each of its tokens stands, `points.json` what is made for a target.
    """
    held_out = context.read(HeldOutSample, "corpus", "held_out.json").root
    recipe, base, resolved = context.recipe, context.base, context.resolved
    keep_tokens = [*required_tokens(base.model, base.tokenizer), *resolved.keep_tokens]
    texts = texts_as_fed(base, context.training_texts())
    words = corpus_words(base.tokenizer, texts, part(progress, 0.0, 0.2))

    def trained(sizes: Sequence[int], own: StageProgress) -> list[PreTrainedTokenizerBase]:
        return train_tokenizers(
            base.tokenizer,
            texts,
            sizes,
            selection=recipe.tokenizer.selection,
            keep_tokens=keep_tokens,
            multiword=recipe.tokenizer.multiword,
            words=words,
            progress=own,
        )

    sizes, training = resolved.target_vocab_sizes, part(progress, 0.2, 0.9)
    if target := recipe.target:
        points, made = for_target(target, resolved.candidates, trained, training)
        PlannedPoints(points).write(folder / "points.json")
    else:
        made = dict(zip(sizes, trained(sizes, training), strict=True))
    coverage = dict[int, VocabularyCoverage]()
    for size, tokenizer in made.items():
        tokenizer.save_pretrained(folder / str(size))
        # Here a tokenizer that does not do as its base costs seconds, after recovery hours.
        check_behaviour(base.tokenizer, load_tokenizer(folder / str(size), base.kind), held_out)
        coverage[size] = explain_vocabulary(base.tokenizer, tokenizer, words, keep_tokens)
    TokenizerResult(coverage).write(folder / "coverage.json")


def for_target(
    target: TargetRecipe,
    candidates: Sequence[SizedPoint],
    train_some: Callable[[Sequence[int], StageProgress], list[PreTrainedTokenizerBase]],
    progress: StageProgress,
) -> tuple[list[SizedPoint], Tokenizers]:
    """Return the points of a target, and a tokenizer for each size that they have.

    A vocabulary that its tokens do not fit in, or that the corpus does not fill, is left out, and
    the points are planned anew. Raises the fault of the last where none can be made, and
    at once that of multi-word tokens that the corpus has too few groups of words for.
    """
    made, tries = Tokenizers(), 0
    fault: CompressionError | None = None
    while points := planned(target, candidates):
        missing = next((p.vocab_size for p in points if p.vocab_size not in made), None)
        if missing is None:
            sizes = {point.vocab_size for point in points}
            return points, {size: one for size, one in made.items() if size in sizes}
        try:
            [made[missing]] = train_some([missing], nth_part(progress, tries, len(FRACTIONS)))
        except VocabSizeBelowFloorError as error:
            fault = error
            candidates = [point for point in candidates if point.vocab_size > missing]
        except TooFewWordGroupsError:
            raise
        except CorpusTooSmallError as error:
            fault = error
            candidates = [point for point in candidates if point.vocab_size < missing]
        tries += 1
    assert fault is not None
    raise fault
