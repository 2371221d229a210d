"""Words of a corpus, as the base tokenizer's normalizer and pre-tokenizer make them."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from tokenizers import Tokenizer

from worker.compression.corpus import Texts
from worker.compression.errors import CorpusEmptyError
from worker.compression.progress import Progress

MAX_DISTINCT_WORDS = 500_000
"""Distinct words kept while counting: bounds memory, and is far more than a vocabulary can use."""

_REPORT_EVERY = 2_000

WordCounts = dict[str, int]


def count_words(backend: Tokenizer, texts: Texts, progress: Progress) -> WordCounts:
    """Count the words of a corpus in one streamed pass, most frequent first, ties by word.

    Where the corpus has more than twice ``MAX_DISTINCT_WORDS`` distinct words, the rarest so far
    are forgotten, so that memory stays bounded on a corpus of any size.

    Raises:
        CorpusEmptyError: the corpus has no words.

    """
    counts: Counter[str] = Counter()
    words_of = word_splitter(backend)
    for number, text in enumerate(texts()):
        counts.update(words_of(text))
        if len(counts) > 2 * MAX_DISTINCT_WORDS:
            counts = Counter(_most_frequent(counts))
        if number % _REPORT_EVERY == 0:
            # The length of a stream is unknown: the fraction only ever approaches the end.
            progress(number / (number + 50_000), f"{number} documents read")
    if not counts:
        raise CorpusEmptyError("The corpus has no words: upload a corpus with text in it.")
    return _most_frequent(counts)


def _most_frequent(counts: Counter[str]) -> WordCounts:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(ranked[:MAX_DISTINCT_WORDS])


def word_splitter(backend: Tokenizer) -> Callable[[str], Iterator[str]]:
    """Return a function from a text to its words; added tokens are cut out, as in encoding."""
    normalizer, pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    cut_added = re.compile("|".join(re.escape(token) for token in sorted(added, key=len)[::-1]))

    def words_of(text: str) -> Iterator[str]:
        for segment in cut_added.split(text) if added else [text]:
            normalized = normalizer.normalize_str(segment) if normalizer else segment
            if pre_tokenizer is None:
                yield normalized
            else:
                yield from (word for word, _ in pre_tokenizer.pre_tokenize_str(normalized))

    return words_of
