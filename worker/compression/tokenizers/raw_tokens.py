"""Splitting raw tokens, as a vocabulary holds them, by a tokenizer's model alone."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Ints = NDArray[np.int64]
_PRIVATE_USE = range(0xE000, 0x110000)
_WORDS = 2000
_NONE: Ints = np.empty(0, dtype=np.int64)


class RaggedIds(NamedTuple):
    """Ids of several tokens' pieces one after the other, and how many pieces each token has."""

    ids: Ints
    lengths: Ints

    @property
    def starts(self) -> Ints:
        """Where the pieces of each token begin."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def owners(self) -> Ints:
        """Which token each piece is of."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def only(self, chosen: NDArray[np.bool_]) -> "RaggedIds":
        """Return the bags of the chosen tokens."""
        return RaggedIds(self.ids[np.repeat(chosen, self.lengths)], self.lengths[chosen])


def ragged_ids(pieces: Iterable[Sequence[int]]) -> RaggedIds:
    """Return the pieces of several tokens as bags."""
    rows = list(pieces)
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
    return RaggedIds(ids, np.array([len(row) for row in rows], dtype=np.int64))


def interleaved(groups: Sequence[tuple[NDArray[Any], RaggedIds]], size: int) -> RaggedIds:
    """Return the bags of ``size`` tokens: each group's are of the places it names, in order."""
    lengths, group_of = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for number, (places, bags) in enumerate(groups):
        lengths[places], group_of[places] = bags.lengths, number
    groups_of_pieces = np.repeat(group_of, lengths)
    ids = np.empty(len(groups_of_pieces), dtype=np.int64)
    for number, (_, bags) in enumerate(groups):
        ids[groups_of_pieces == number] = bags.ids
    return RaggedIds(ids, lengths)


RawSplitter = Callable[[Sequence[str]], RaggedIds]
"""Splits raw tokens by their position: the tokenizer would read a mark such as "##" as text, and
bytes as characters."""


def split_by_model(backend: Tokenizer) -> RawSplitter:
    """Return a raw splitter for models that can read any of their raw tokens.

    All are split together, as texts in which an added token stands after each: nothing but that
    token and the model takes part, and it is several times faster than a call for each.
    """

    def split(tokens: Sequence[str]) -> RaggedIds:
        separator = _unused_character(tokens)
        words = Tokenizer(backend.model)
        words.add_special_tokens([separator])
        texts = [
            separator.join([*tokens[start : start + _WORDS], ""])
            for start in range(0, len(tokens), _WORDS)
        ]
        encodings = words.encode_batch_fast(texts, add_special_tokens=False)
        ids = np.concatenate([_NONE, *(np.array(e.ids, dtype=np.int64) for e in encodings)])
        ends = np.flatnonzero(ids == words.token_to_id(separator))
        return RaggedIds(np.delete(ids, ends), np.diff(ends, prepend=-1) - 1)

    return split


def split_one_by_one(split: Callable[[str], Sequence[int]]) -> RawSplitter:
    """Return a raw splitter that splits token by token."""

    def split_all(tokens: Sequence[str]) -> RaggedIds:
        return ragged_ids(map(split, tokens))

    return split_all


def _unused_character(tokens: Sequence[str]) -> str:
    used = set("".join(tokens))
    return next(c for c in map(chr, _PRIVATE_USE) if c not in used)
