"""How often each word is to be expected in a text of the corpus's kind that has not been seen."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from worker.compression.tokenizers.words import WordCounts

_RELIABLE_COUNT = 6
"""From this count on, a word's frequency in the corpus is its own best estimate."""

_ALIKE = 1000
"""Neighbours in the base's vocabulary, which most trainers order by frequency."""


class ExpectedWord(NamedTuple):
    """A word with its expected number; ``whole`` tells if it may be a token of its own."""

    word: str
    number: float
    whole: bool


def expected_words(words: WordCounts, base_words: Sequence[str] = ()) -> list[ExpectedWord]:
    """Weigh words by their Good-Turing expected counts (Good 1953, Biometrika 40).

    A word seen r times counts (r+1) N(r+1) / N(r), where N(r) words were seen r times. New text
    has as many unseen words as this corpus has words seen once: those stand in for them a second
    time, with a weight of one each, where the vocabulary may not hold them as a whole; but for
    ``base_words``, whose like are among ``unseen_words``. So a vocabulary is chosen for words it
    has not seen, too, and not for chance words.
    """
    number_of, known = Counter(words.values()), set(base_words)
    expected = [ExpectedWord(w, _expected_count(r, number_of), True) for w, r in words.items()]
    once = (word for word, r in words.items() if r == 1 and len(word) > 1)
    return expected + [ExpectedWord(word, 1.0, False) for word in once if word not in known]


def _expected_count(seen: int, number_of: Counter[int]) -> float:
    if seen >= _RELIABLE_COUNT or not number_of[seen + 1]:
        return float(seen)
    return min(seen, (seen + 1) * number_of[seen + 1] / number_of[seen])


def unseen_words(words: WordCounts, base_words: Sequence[str]) -> list[ExpectedWord]:
    """Return words that only the base knows, those first that are to be expected most.

    Each counts N(1) / N(0) of the words about as common as it: Good-Turing again.
    """
    expected: list[ExpectedWord] = []
    for start in range(0, len(base_words), _ALIKE):
        alike = base_words[start : start + _ALIKE]
        unseen = [word for word in alike if word not in words]
        once = sum(words.get(word) == 1 for word in alike)
        if once:
            expected += [ExpectedWord(word, once / len(unseen), True) for word in unseen]
    return sorted(expected, key=lambda word: -word.number)
