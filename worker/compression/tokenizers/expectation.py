"""How often each word of a corpus is to be expected in a text that has not been seen."""

from collections import Counter
from typing import NamedTuple

from worker.compression.tokenizers.words import WordCounts

_RELIABLE_COUNT = 6
"""From this count on, a word's frequency in the corpus is its own best estimate."""


class ExpectedWord(NamedTuple):
    """A word with its expected number; ``whole`` tells if it may be a token of its own."""

    word: str
    number: float
    whole: bool


def expected_words(words: WordCounts) -> list[ExpectedWord]:
    """Weigh words by their Good-Turing expected counts (Good 1953, Biometrika 40).

    A word seen r times counts (r+1) N(r+1) / N(r), where N(r) words were seen r times. New text
    has as many unseen words as this corpus has words seen once: those stand in for them a second
    time, with a weight of one each, where the vocabulary may not hold them as a whole. So a
    vocabulary is chosen for words it has not seen, too, and not for chance words.
    """
    number_of = Counter(words.values())
    expected = [ExpectedWord(w, _expected_count(r, number_of), True) for w, r in words.items()]
    unseen = [ExpectedWord(w, 1.0, False) for w, r in words.items() if r == 1 and len(w) > 1]
    return expected + unseen


def _expected_count(seen: int, number_of: Counter[int]) -> float:
    if seen >= _RELIABLE_COUNT or not number_of[seen + 1]:
        return float(seen)
    return min(seen, (seen + 1) * number_of[seen + 1] / number_of[seen])
