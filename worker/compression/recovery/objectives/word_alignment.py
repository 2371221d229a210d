"""The words that two tokenizers of one family share in texts, by the characters they stand for.

All texts are aligned at once, as parts of one long text in which each begins one character after
the end of the one before.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

Ints = NDArray[np.int64]

NO_WORD = -1
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Words:
    """Of a text, the word of every token of both encodings, ``NO_WORD`` for none; their number."""

    base: Ints
    domain: Ints
    count: int


def align_words(
    texts: Sequence[str], bases: Sequence[Encoding], domains: Sequence[Encoding]
) -> list[Words]:
    """Return the words of each text.

    A word here is what lies between two boundaries of the base's words that no token of either
    tokenizer crosses: a token of several words makes one of them. Special tokens, tokens that
    stand for no character, and words that one side lacks because it was cut have none.
    """
    origins = np.cumsum([0, *(len(text) + 1 for text in texts)], dtype=np.int64)[:-1]
    sides = [_Side(encodings, origins) for encodings in (bases, domains)]
    ends = np.union1d(_word_ends(texts, sides[0], origins), origins[1:])
    inner = _uncrossed(ends, *(side.spans for side in sides))
    groups = [side.groups(inner) for side in sides]
    shared = np.setdiff1d(np.intersect1d(groups[0], groups[1]), [NO_WORD])
    # Of each text, the place of its first word among those of all.
    firsts = np.searchsorted(shared, np.searchsorted(inner, origins, side="right"))
    numbered = [
        side.split(_numbered(found, shared, firsts[side.text_of]))
        for side, found in zip(sides, groups, strict=True)
    ]
    return list(map(Words, *numbered, np.diff([*firsts, len(shared)]).tolist()))


class _Side:
    """The encodings of one tokenizer end to end; ``spans`` (tokens, 2) are empty where special."""

    def __init__(self, encodings: Sequence[Encoding], origins: Ints) -> None:
        lengths = [len(encoding.ids) for encoding in encodings]
        self._lengths = np.array(lengths, dtype=np.int64)
        self._cut = [number for number, e in enumerate(encodings) if e.overflowing]
        self.text_of = np.repeat(np.arange(len(lengths)), lengths)
        offsets = [offset for encoding in encodings for offset in encoding.offsets]
        spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
        special = np.array([flag for e in encodings for flag in e.special_tokens_mask], dtype=bool)
        spans[special] = 0
        self.real = spans[:, 1] > spans[:, 0]
        self.spans: Ints = spans + origins[self.text_of, None]
        words = (NO_WORD if word is None else word for e in encodings for word in e.word_ids)
        self.words = np.fromiter(words, dtype=np.int64, count=sum(lengths))

    def groups(self, boundaries: Ints) -> Ints:
        """Return the number of boundaries before each token; ``NO_WORD`` where it has no word."""
        groups = np.searchsorted(boundaries, self.spans[:, 0], side="right").astype(np.int64)
        groups[~self.real] = NO_WORD
        for number in self._cut:
            own = self.text_of == number
            groups[own & (groups == groups[own].max())] = NO_WORD
        return groups

    def split(self, values: Ints) -> list[Ints]:
        """Return what each text has of the values of all tokens."""
        return np.split(values, np.cumsum(self._lengths)[:-1]) if self._lengths.size else []


def _word_ends(texts: Sequence[str], side: _Side, origins: Ints) -> Ints:
    """Return where the words of each text end, in no order."""
    known = side.real & (side.words != NO_WORD)
    words, ends, of = side.words[known], side.spans[known, 1], side.text_of[known]
    present, first = np.unique(of, return_index=True)
    last = np.append(first[1:], len(of)) - 1
    # The tokenizer takes such a text as one word, as Llama's does.
    single = present[words[first] == words[last]] if len(of) else present
    spaces = [origins[n] + match.end() for n in single for match in _WORD.finditer(texts[n])]
    changes = (words[1:] != words[:-1]) & (of[1:] == of[:-1]) & ~np.isin(of[1:], single)
    return np.concatenate([ends[:-1][changes], np.array(spaces, dtype=np.int64)])


def _uncrossed(ends: Ints, *sides: Ints) -> Ints:
    """Return the boundaries that lie inside no token."""
    for spans in sides:
        # A token crosses the boundaries after its start and before its end.
        first = np.searchsorted(ends, spans[:, 0], side="right")
        last = np.maximum(np.searchsorted(ends, spans[:, 1], side="left"), first)
        size = len(ends) + 1
        crossing = np.bincount(first, minlength=size) - np.bincount(last, minlength=size)
        ends = ends[np.cumsum(crossing)[:-1] == 0]
    return ends


def _numbered(groups: Ints, shared: Ints, firsts: Ints) -> Ints:
    """Number the words that both sides have from 0 on in each text."""
    places = np.searchsorted(shared, groups)
    return np.where(np.isin(groups, shared), places - firsts, NO_WORD)
