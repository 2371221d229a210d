"""Splits of raw tokens, as a vocabulary holds them, by a tokenizer's model alone.

A raw token carries its position in the word: ``##ing`` continues a word, ``▁ing`` and ``Ġing``
start one. Given to the whole tokenizer, such a mark would be read as text.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Ints = NDArray[np.int64]

# Characters without a meaning: one that no token uses can separate tokens.
_PRIVATE_USE = range(0xE000, 0x110000)

# Tokens joined into one text: several texts are encoded in parallel.
_TOKENS_PER_TEXT = 2000

_NO_IDS: Ints = np.empty(0, dtype=np.int64)


class RaggedIds(NamedTuple):
    """Rows of ids of different lengths, R rows with P ids in all, as two flat arrays.

    ``ids`` (P,) holds the rows one after the other, ``lengths`` (R,) the number of ids per row.
    """

    ids: Ints
    lengths: Ints

    @property
    def starts(self) -> Ints:
        """Return where each row begins in ``ids``, (R,)."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def row_index(self) -> Ints:
        """Return the row that each id belongs to, (P,)."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def select(self, mask: NDArray[np.bool_]) -> "RaggedIds":
        """Return the rows for which ``mask`` (R,) is true."""
        return RaggedIds(self.ids[np.repeat(mask, self.lengths)], self.lengths[mask])


def ragged_ids(rows: Iterable[Sequence[int]]) -> RaggedIds:
    """Return rows of ids as flat arrays."""
    rows = list(rows)
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
    return RaggedIds(ids, np.array([len(row) for row in rows], dtype=np.int64))


def merge_ragged(groups: Sequence[tuple[NDArray[Any], RaggedIds]], size: int) -> RaggedIds:
    """Merge groups of rows into one of ``size`` rows.

    Each group comes with the rows of the result that it fills, in ascending order, as indices or
    as a mask (size,). Together the groups fill every row once.
    """
    lengths, group_of_row = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for number, (places, rows) in enumerate(groups):
        lengths[places], group_of_row[places] = rows.lengths, number
    # A group's ids lie in the order of its rows, and so do their places in the result.
    group_of_id = np.repeat(group_of_row, lengths)
    ids = np.empty(len(group_of_id), dtype=np.int64)
    for number, (_, rows) in enumerate(groups):
        ids[group_of_id == number] = rows.ids
    return RaggedIds(ids, lengths)


# Splits R raw tokens into pieces, each token by its position in a word: R rows of ids.
RawSplitter = Callable[[Sequence[str]], RaggedIds]


def split_by_model(backend: Tokenizer) -> RawSplitter:
    """Return a raw splitter for models that can read any of their raw tokens.

    Many tokens are split in one call, as a text in which a separator, an added token, follows
    each of them. The tokenizer has no other part than the model. It is several times faster than
    one call per token.
    """

    def split(tokens: Sequence[str]) -> RaggedIds:
        used = set("".join(tokens))
        separator = next(char for char in map(chr, _PRIVATE_USE) if char not in used)
        model_only = Tokenizer(backend.model)
        model_only.add_special_tokens([separator])
        texts = [
            separator.join([*tokens[start : start + _TOKENS_PER_TEXT], ""])
            for start in range(0, len(tokens), _TOKENS_PER_TEXT)
        ]
        encodings = model_only.encode_batch_fast(texts, add_special_tokens=False)
        ids = np.concatenate([_NO_IDS, *(np.array(e.ids, dtype=np.int64) for e in encodings)])
        ends = np.flatnonzero(ids == model_only.token_to_id(separator))
        return RaggedIds(np.delete(ids, ends), np.diff(ends, prepend=-1) - 1)

    return split


def split_one_by_one(split: Callable[[str], Sequence[int]]) -> RawSplitter:
    """Return a raw splitter that splits token by token."""

    def split_all(tokens: Sequence[str]) -> RaggedIds:
        return ragged_ids(map(split, tokens))

    return split_all
