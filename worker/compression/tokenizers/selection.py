"""Vocabulary selection by usage: drop the candidates whose loss costs the fewest pieces."""

import heapq
import sys
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence

from worker.compression.progress import Progress, reported
from worker.compression.tokenizers.words import ExpectedWord


class LongestMatch:
    """Splits words by the longest token that fits, from the left.

    Every character a word is spelled with must be in the vocabulary.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def raw(self, word: str, start: int, end: int) -> str:
        """Return the raw token for ``word[start:end]``."""
        return self.prefix + word[start:end] if start else word[start:end]

    def letters(self, word: str) -> list[str]:
        """Spell a word of a text, which may itself start with the mark."""
        return [sys.intern(self.raw(word, i, i + 1)) for i in range(len(word))]

    def join(self, left: str, right: str) -> str:
        """Return the token that covers two neighbouring tokens."""
        return left + right.removeprefix(self.prefix)

    def split(self, word: str, vocabulary: Container[str], whole: bool = True) -> list[str]:
        """Return the pieces of ``word``; without ``whole`` it may not be a single piece."""
        pieces: list[str] = []
        start, longest = 0, len(word) if whole else len(word) - 1
        while start < len(word):
            end = longest
            while (piece := self.raw(word, start, end)) not in vocabulary:
                end -= 1
            pieces.append(piece)
            start, longest = end, len(word)
        return pieces

    def width(self, piece: str, position: int) -> int:
        """Return the number of characters of the piece at ``position`` of a segmentation."""
        return len(piece) - len(self.prefix) if position else len(piece)

    def count_from(self, word: str, start: int, vocabulary: Container[str]) -> int:
        """Return the number of pieces of ``word[start:]``."""
        count = 0
        while start < len(word):
            end = len(word)
            while self.raw(word, start, end) not in vocabulary:
                end -= 1
            start, count = end, count + 1
        return count


_DROPPED_PER_ROUND = 0.05
"""Share of the vocabulary dropped between two counts; smaller is slower and hardly better."""

_FEWEST_USES = 2.0
"""Expected uses of a token that the base has no vector for. A mean that is hardly ever trained is
worth less than a shared token: docs/decisions/0008."""

_REPORT_EVERY = 5_000


class Usage:
    """The segmentation of every word under a vocabulary, and which words use which token."""

    def __init__(
        self,
        matcher: LongestMatch,
        words: Sequence[ExpectedWord],
        vocabulary: Iterable[str],
        progress: Progress,
    ) -> None:
        self.matcher = matcher
        self.words = words
        self.vocabulary = set(vocabulary)
        self.pieces: list[list[str]] = []
        self.words_using: defaultdict[str, set[int]] = defaultdict(set)
        for word, _, whole in reported(words, progress, "splitting the corpus's words"):
            self.pieces.append(matcher.split(word, self.vocabulary, whole))
            self._enter(len(self.pieces) - 1)

    def _enter(self, index: int) -> None:
        for piece in self.pieces[index]:
            self.words_using[piece].add(index)

    def cost_of_dropping(self, token: str) -> float:
        """Return the expected number of extra pieces without ``token``; it may be negative."""
        self.vocabulary.discard(token)
        # Sorted, so that the floating-point sum does not depend on the order of a set.
        cost = sum(self._extra_pieces(index, token) for index in sorted(self.words_using[token]))
        self.vocabulary.add(token)
        return cost

    def _extra_pieces(self, index: int, token: str) -> float:
        word, number, whole = self.words[index]
        pieces = self.pieces[index]
        before = pieces.index(token)
        start = sum(self.matcher.width(piece, i) for i, piece in enumerate(pieces[:before]))
        if start == 0 and not whole:
            after = len(self.matcher.split(word, self.vocabulary, whole))
        else:
            after = self.matcher.count_from(word, start, self.vocabulary)
        return number * (before + after - len(pieces))

    def uses(self, token: str) -> float:
        """Return the expected number of words that use a token."""
        return sum(self.words[index].number for index in sorted(self.words_using[token]))

    def drop(self, tokens: Iterable[str]) -> None:
        """Take tokens out of the vocabulary and split the words that used them anew."""
        touched: set[int] = set()
        for token in tokens:
            self.vocabulary.discard(token)
            touched |= self.words_using[token]
        for index in touched:
            for piece in self.pieces[index]:
                self.words_using[piece].discard(index)
            word, _, whole = self.words[index]
            self.pieces[index] = self.matcher.split(word, self.vocabulary, whole)
            self._enter(index)

    def frequencies(self) -> defaultdict[str, float]:
        """Return the expected number of times each token is used."""
        frequencies: defaultdict[str, float] = defaultdict(float)
        for word, pieces in zip(self.words, self.pieces, strict=True):
            for piece in pieces:
                frequencies[piece] += word.number
        return frequencies


def prune(
    usage: Usage, kept: set[str], size: int, progress: Progress, base: Container[str] = ()
) -> None:
    """Drop tokens from ``usage.vocabulary`` until ``size`` are left; those in ``kept`` stay.

    Tokens that are not in ``base`` and hardly used go first. Each round drops the cheapest tokens
    and counts anew, since dropping a token changes what its neighbours are worth. Ties go to the
    longer token, then by text.
    """
    surplus = len(usage.vocabulary) - size
    while len(usage.vocabulary) > size:
        droppable = sorted(usage.vocabulary - kept)
        worth: dict[str, tuple[bool, float]] = {}
        left = len(usage.vocabulary) - size
        for number, token in enumerate(droppable):
            if number % _REPORT_EVERY == 0:
                progress(1 - left / surplus, f"{len(usage.vocabulary)} tokens, {size} wanted")
            worth[token] = _worth(usage, token, base)
        batch = max(1, int(_DROPPED_PER_ROUND * len(usage.vocabulary)))
        usage.drop(
            heapq.nsmallest(min(batch, left), droppable, key=lambda t: (worth[t], -len(t), t))
        )


def _worth(usage: Usage, token: str, base: Container[str]) -> tuple[bool, float]:
    if token not in base and (uses := usage.uses(token)) < _FEWEST_USES:
        return False, uses
    return True, usage.cost_of_dropping(token)
