"""Domain tokenizers of several sizes from one corpus, with multi-word tokens where asked."""

from collections.abc import Sequence

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.errors import VocabSizeBelowFloorError
from worker.compression.progress import Progress, part, silent
from worker.compression.tokenizers.backend import unbounded
from worker.compression.tokenizers.family import Selection
from worker.compression.tokenizers.multiword import (
    add_multiword,
    read_word_runs,
    without_multiword,
)
from worker.compression.tokenizers.multiword_ngrams import WordRuns
from worker.compression.tokenizers.train import check_vocab_size, train_tokenizer
from worker.compression.tokenizers.words import count_words


def train_tokenizers(  # noqa: PLR0913
    base_tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    vocab_sizes: Sequence[int],
    *,
    selection: Selection = "usage",
    keep_tokens: Sequence[str] = (),
    multiword: int = 0,
    progress: Progress | None = None,
) -> list[PreTrainedTokenizerBase]:
    """Train a tokenizer of each size, from one reading of the corpus.

    Each is what ``train_tokenizer`` gives, whatever other sizes are asked for. ``multiword`` of
    its tokens are groups of words: they are chosen when the others are, and take their places.
    Those that the base itself has are left behind.

    Raises:
        MultiwordUnsupportedError: the base tokenizer cannot hold multi-word tokens exactly.
        CompressionError: as ``train_tokenizer``.

    """
    progress = progress or silent
    base = without_multiword(base_tokenizer)
    check_vocab_size(max(vocab_sizes), base_tokenizer)
    _check_room(min(vocab_sizes), multiword)
    words = count_words(unbounded(base), texts, part(progress, 0, 0.2))
    runs = read_word_runs(base, texts, part(progress, 0.2, 0.3)) if multiword else None
    tokenizers = []
    for number, size in enumerate(vocab_sizes):
        own = part(progress, *(0.3 + 0.7 * n / len(vocab_sizes) for n in (number, number + 1)))
        plain = train_tokenizer(
            base,
            texts,
            size - multiword,
            selection=selection,
            keep_tokens=keep_tokens,
            words=words,
            progress=part(own, 0, 0.9),
        )
        tokenizers.append(_widened(plain, runs, multiword, part(own, 0.9, 1)))
    return tokenizers


def _check_room(vocab_size: int, multiword: int) -> None:
    if vocab_size <= multiword:
        raise VocabSizeBelowFloorError(
            f"A vocabulary of {vocab_size} tokens has no room for {multiword} multi-word tokens: "
            "ask for a larger one, or for fewer of them."
        )


def _widened(
    plain: PreTrainedTokenizerBase, runs: WordRuns | None, multiword: int, progress: Progress
) -> PreTrainedTokenizerBase:
    return add_multiword(plain, runs, multiword, progress) if runs else plain
