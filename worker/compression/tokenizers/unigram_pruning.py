"""Training a unigram model: expectation maximization, and dropping what is least missed."""

from collections import Counter
from collections.abc import Container, Mapping
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from worker.compression.progress import Progress
from worker.compression.tokenizers.lattice import LONGEST_PIECE, Floats, Lattice, totals
from worker.compression.tokenizers.words import WordCounts

_SHRINKING = 0.75
"""Share of the pieces that a round leaves, as in SentencePiece's trainer."""

_EM_STEPS = 2

_WORDS = 200_000
"""Most frequent words that are looked at: bounds memory."""

_LEAST_COUNT = 0.1
_MARGIN = 1e-4

Loss = Literal["likelihood", "pieces"]


def seed_pieces(words: WordCounts, barred: Container[str]) -> dict[str, int]:
    """Return parts of words that occur at least twice, and the words, with their counts.

    Those that cover the most text come first.
    """
    counts: Counter[str] = Counter()
    for word, count in islice(words.items(), _WORDS):
        for start in range(len(word)):
            for end in range(start + 2, min(len(word), start + LONGEST_PIECE) + 1):
                counts[word[start:end]] += count
    ranked = sorted(counts.items(), key=lambda item: (-item[1] * len(item[0]), item[0]))
    return {p: n for p, n in ranked if (n > 1 or p in words) and p not in barred}


def letter_counts(words: WordCounts) -> Counter[str]:
    """Count the letters of words."""
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    return letters


class UnigramTrainer:
    """Pieces with their log-probabilities; those in ``kept`` are never dropped."""

    def __init__(self, words: WordCounts, pieces: Mapping[str, int], kept: set[str]) -> None:
        self.pieces = list(pieces)
        ids = {piece: i for i, piece in enumerate(self.pieces)}
        frequent = dict(islice(words.items(), _WORDS))
        self.words = Lattice(list(frequent), ids)
        self.counts: Floats = np.array(list(frequent.values()), dtype=np.float64)
        self.without_itself = Lattice(self.pieces, ids, whole=False)
        self.alive: NDArray[np.bool_] = np.ones(len(self.pieces), dtype=bool)
        self.kept = np.array([piece in kept for piece in self.pieces])
        self.scores = _log_probabilities(np.array(list(pieces.values()), dtype=np.float64))

    def shrink_to(self, size: int, loss: Loss, progress: Progress) -> None:
        """Drop pieces round by round until ``size`` are left, the least missed first."""
        self._maximize()
        surplus = int(self.alive.sum()) - size
        while (left := int(self.alive.sum())) > size:
            progress(1 - (left - size) / surplus, f"{left} pieces, {size} wanted")
            self._drop(left - max(size, int(_SHRINKING * left)), loss)
            self._maximize()

    def _maximize(self) -> None:
        for _ in range(_EM_STEPS):
            counts = self.words.expected_counts(self.scores, self.counts)
            self.scores = np.where(self.alive, _log_probabilities(counts), -np.inf)

    def _drop(self, number: int, loss: Loss) -> None:
        droppable = np.flatnonzero(self.alive & ~self.kept)
        missed = self._loss(loss)[droppable]
        self.alive[droppable[np.argsort(missed, kind="stable")[:number]]] = False
        self.words.only(self.alive)
        self.without_itself.only(self.alive)

    def _loss(self, loss: Loss) -> Floats:
        """Return what the corpus loses with each piece: log-likelihood, or pieces it then needs."""
        piece, word = self.words.best(self.scores).pieces()
        frequency = totals(piece, self.counts[word], len(self.pieces))
        instead = self.without_itself.best(self.scores)
        if loss == "likelihood":
            less_likely = self.scores - instead.scores
            missed: Floats = frequency * np.where(self.alive & ~self.kept, less_likely, 0.0)
            return missed
        more = np.bincount(instead.pieces()[1], minlength=len(self.pieces)) - 1
        # Among pieces that cost the same, those that are the least likely go first.
        weighed: Floats = frequency * more + np.exp(self.scores)
        return weighed

    def result(self) -> dict[str, float]:
        """Return the pieces, most likely first, each of them likelier than any split of it."""
        found = {p: s for p, s, a in zip(self.pieces, self.scores, self.alive, strict=True) if a}
        reachable = _reachable(found)
        return dict(sorted(reachable.items(), key=lambda item: (-item[1], item[0])))


def _log_probabilities(counts: Floats) -> Floats:
    """Return normalized logs, rare pieces discounted as by exp(digamma(n)), about n - 1/2."""
    discounted = np.maximum(counts - 0.5, _LEAST_COUNT)
    logs: Floats = np.log(discounted) - np.log(discounted.sum())
    return logs


def _reachable(scores: Mapping[str, float]) -> dict[str, float]:
    """Return scores raised where a piece's split is likelier than the piece, shortest first."""
    raised: dict[str, float] = {}
    for piece in sorted(scores, key=lambda piece: (len(piece), piece)):
        raised[piece] = round(max(scores[piece], _best_split(piece, raised) + _MARGIN), 6)
    return raised


def _best_split(piece: str, scores: Mapping[str, float]) -> float:
    best: list[float] = [0.0]
    for end in range(1, len(piece) + 1):
        parts = (start for start in range(end) if piece[start:end] in scores)
        best.append(max((best[i] + scores[piece[i:end]] for i in parts), default=-np.inf))
    return best[-1] if len(piece) > 1 else -np.inf
