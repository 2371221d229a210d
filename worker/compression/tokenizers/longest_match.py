"""Longest-match segmentation of a word, as WordPiece does it."""

import sys
from collections.abc import Container


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
