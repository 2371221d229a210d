"""The words that two tokenizers of one family share in a text, by the characters they stand for."""

import re

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

Ints = NDArray[np.int64]

NO_WORD = -1
_WORD = re.compile(r"\S+")


def align_words(text: str, base: Encoding, domain: Encoding) -> tuple[Ints, Ints, int]:
    """Return the word of every token of both encodings, ``NO_WORD`` for none, and their number.

    A word here is what lies between two boundaries of the base's words that no token of either
    tokenizer crosses: a token of several words makes one of them. Special tokens, tokens that
    stand for no character, and words that one side lacks because it was cut have none.
    """
    base_spans, domain_spans = _spans(base), _spans(domain)
    inner = _uncrossed(_word_ends(text, base, base_spans), base_spans, domain_spans)
    found = [_groups(inner, spans) for spans in (base_spans, domain_spans)]
    for encoding, groups in zip((base, domain), found, strict=True):
        if encoding.overflowing and groups.size:
            groups[groups == groups.max()] = NO_WORD
    return _number(*found)


def _spans(encoding: Encoding) -> Ints:
    """Return (tokens, 2): start and end of each token, both 0 of a special one."""
    spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    spans[np.array(encoding.special_tokens_mask, dtype=bool)] = 0
    return spans


def _word_ends(text: str, encoding: Encoding, spans: Ints) -> Ints:
    words = np.array([NO_WORD if w is None else w for w in encoding.word_ids], dtype=np.int64)
    real = (words != NO_WORD) & (spans[:, 1] > spans[:, 0])
    words, ends = words[real], spans[real, 1]
    if words.size and words[0] == words[-1]:
        # The tokenizer takes the text as one word, as Llama's does.
        return np.array([match.end() for match in _WORD.finditer(text)], dtype=np.int64)
    return np.unique(ends[:-1][words[1:] != words[:-1]]) if words.size else words


def _uncrossed(ends: Ints, *sides: Ints) -> Ints:
    """Return the boundaries that lie inside no token."""
    for spans in sides:
        crossing = np.zeros(len(ends) + 1, dtype=np.int64)
        # A token crosses the boundaries after its start and before its end.
        first = np.searchsorted(ends, spans[:, 0], side="right")
        last = np.maximum(np.searchsorted(ends, spans[:, 1], side="left"), first)
        np.add.at(crossing, first, 1)
        np.add.at(crossing, last, -1)
        ends = ends[np.cumsum(crossing)[:-1] == 0]
    return ends


def _groups(boundaries: Ints, spans: Ints) -> Ints:
    groups = np.searchsorted(boundaries, spans[:, 0], side="right").astype(np.int64)
    groups[spans[:, 1] <= spans[:, 0]] = NO_WORD
    return groups


def _number(base: Ints, domain: Ints) -> tuple[Ints, Ints, int]:
    """Give the words that both sides have numbers from 0 on."""
    shared = np.intersect1d(base[base >= 0], domain[domain >= 0])
    return _renumbered(base, shared), _renumbered(domain, shared), len(shared)


def _renumbered(groups: Ints, shared: Ints) -> Ints:
    places = np.searchsorted(shared, groups)
    known = np.isin(groups, shared)
    return np.where(known, places, NO_WORD)
