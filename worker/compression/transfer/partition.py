"""Partition: each domain token as tokens of the base (Gee et al. 2022, section 3.1)."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError
from worker.compression.tokenizers.families import TOKENIZER_FAMILIES, family_of
from worker.compression.tokenizers.family import Family
from worker.compression.tokenizers.multiword import multiword_tokens
from worker.compression.tokenizers.raw_tokens import Ints, RaggedIds, merge_ragged, ragged_ids
from worker.compression.tokenizers.tokenizer_json import backend_json, backend_of, unbounded

Source = Literal["copied", "averaged", "fallback", "random"]
SOURCES: tuple[Source, ...] = ("copied", "averaged", "fallback", "random")


@dataclass(frozen=True)
class Partition:
    """A domain token, the source of its embedding, and the base tokens it is made of.

    ``copied`` is the base's own embedding of the token, ``averaged`` the mean over its pieces.
    ``fallback`` is a mean over the characters or bytes that the base has, or, where ``base_ids``
    is empty, over the whole base vocabulary. ``unk_pieces`` counts pieces dropped as unknown.
    """

    id: int
    token: str
    source: Source
    pieces: tuple[str, ...]
    base_ids: tuple[int, ...]
    unk_pieces: int = 0


@dataclass(frozen=True)
class Partitions(Sequence[Partition]):
    """The partition of every domain token in the order of ids, kept as columns.

    Row i is the domain token with id i, V_in rows in all: ``tokens`` and ``unk_pieces`` (V_in,),
    ``sources`` (V_in,) as indices into ``SOURCES``, and the base ids of its pieces as a row of
    ``base_ids``. ``base_token`` returns the base token of an id. A vocabulary has a hundred
    thousand tokens: columns become embeddings without a step for each.
    """

    tokens: Sequence[str]
    sources: NDArray[np.int8]
    base_ids: RaggedIds
    unk_pieces: Ints
    base_token: Callable[[int], str]

    def where(self, source: Source) -> NDArray[np.bool_]:
        """Return a mask (V_in,) of the tokens that have their embedding from ``source``."""
        return np.equal(self.sources, SOURCES.index(source))

    def without_pieces(self) -> "Partitions":
        """Return the partitions of the PVT baseline: tokens that are not copied are random."""
        copied = self.where("copied")
        sources = np.where(copied, self.sources, SOURCES.index("random")).astype(np.int8)
        lengths = np.where(copied, self.base_ids.lengths, 0)
        base_ids = RaggedIds(self.base_ids.select(copied).ids, lengths)
        no_pieces = np.zeros_like(self.unk_pieces)
        return replace(self, sources=sources, base_ids=base_ids, unk_pieces=no_pieces)

    def __len__(self) -> int:
        return len(self.tokens)

    @overload
    def __getitem__(self, index: int) -> Partition: ...
    @overload
    def __getitem__(self, index: slice) -> list[Partition]: ...
    def __getitem__(self, index: int | slice) -> Partition | list[Partition]:
        if isinstance(index, slice):
            return list(self)[index]
        index = range(len(self))[index]
        return self._row(index, int(self.base_ids.starts[index]))

    def __iter__(self) -> Iterator[Partition]:
        return map(self._row, range(len(self)), self.base_ids.starts.tolist())

    def _row(self, index: int, start: int) -> Partition:
        end = start + int(self.base_ids.lengths[index])
        ids = tuple(self.base_ids.ids[start:end].tolist())
        pieces = tuple(map(self.base_token, ids))
        source, unk_pieces = SOURCES[self.sources[index]], int(self.unk_pieces[index])
        return Partition(index, self.tokens[index], source, pieces, ids, unk_pieces)


def as_columns(partitions: Iterable[Partition]) -> Partitions:
    """Return partitions, given in the order of ids, as columns."""
    rows = list(partitions)
    names = {i: piece for row in rows for i, piece in zip(row.base_ids, row.pieces, strict=True)}
    return Partitions(
        [row.token for row in rows],
        np.array([SOURCES.index(row.source) for row in rows], dtype=np.int8),
        ragged_ids(row.base_ids for row in rows),
        np.array([row.unk_pieces for row in rows], dtype=np.int64),
        names.__getitem__,
    )


def partition_vocabulary(
    base_tokenizer: PreTrainedTokenizerBase, domain_tokenizer: PreTrainedTokenizerBase
) -> Partitions:
    """Partition every domain token by the base tokenizer, in the order of the domain ids.

    Raises:
        UnsupportedTokenizerError: the tokenizers are of different families, so that raw tokens
            of one mean nothing to the other.

    """
    family = family_of(base_tokenizer)
    if family.name != family_of(domain_tokenizer).name:
        raise UnsupportedTokenizerError(
            "The domain tokenizer is of another family than the base tokenizer: "
            "train it with train_tokenizer."
        )
    ids = domain_tokenizer.get_vocab()
    tokens = sorted(ids, key=ids.__getitem__)
    multiword: dict[str, list[str]] = {}
    if TOKENIZER_FAMILIES[family.name].multiword and any(" " in token for token in tokens):
        multiword = multiword_tokens(domain_tokenizer)
    # The model alone cannot split these: added tokens, groups of words, the empty token.
    special = {*domain_tokenizer.get_added_vocab(), *multiword, ""}
    return _Partitioner(base_tokenizer, family, multiword).partition_all(tokens, special)


class _Partitioner:
    """The base tokenizer as partitions need it; ``multiword`` maps domain tokens to words."""

    def __init__(
        self,
        base_tokenizer: PreTrainedTokenizerBase,
        family: Family,
        multiword: Mapping[str, Sequence[str]],
    ) -> None:
        self.base_tokenizer = base_tokenizer
        self.family = family
        self.multiword = multiword
        self.split_raw = family.raw_splitter(backend_of(base_tokenizer))
        self.ids: dict[str, int] = base_tokenizer.get_vocab()
        self.tokens = {i: token for token, i in self.ids.items()}
        self.unk_id = _unk_id(base_tokenizer)

    @cached_property
    def backend(self) -> Tokenizer:
        return unbounded(self.base_tokenizer)

    def partition_all(self, tokens: Sequence[str], special: Container[str]) -> Partitions:
        """Partition V_in tokens: in three groups, of which two need no step for each token.

        Copied tokens are looked up, ordinary tokens are split by the model in one call. Only the
        rest, tokens with unknown pieces and ``special`` ones, is done one by one.
        """
        base_id = np.array([self.ids.get(token, -1) for token in tokens], dtype=np.int64)
        copied = base_id >= 0
        ordinary = np.array([token not in special for token in tokens]) & ~copied
        split = self.split_raw([tokens[i] for i in np.flatnonzero(ordinary).tolist()])
        complete = self._has_no_unknown(split)
        ordinary[ordinary] = complete

        rest = np.flatnonzero(~(copied | ordinary)).tolist()
        partitions = as_columns(self._partition(i, tokens[i], tokens[i] in special) for i in rest)
        groups = (
            (copied, RaggedIds(base_id[copied], np.ones(int(copied.sum()), dtype=np.int64))),
            (ordinary, split.select(complete)),
            (np.array(rest, dtype=np.int64), partitions.base_ids),
        )
        sources = np.where(copied, SOURCES.index("copied"), SOURCES.index("averaged"))
        sources[rest] = partitions.sources
        unk_pieces = np.zeros(len(tokens), dtype=np.int64)
        unk_pieces[rest] = partitions.unk_pieces
        return Partitions(
            tokens,
            sources.astype(np.int8),
            merge_ragged(groups, len(tokens)),
            unk_pieces,
            self.tokens.__getitem__,
        )

    def _has_no_unknown(self, split: RaggedIds) -> NDArray[np.bool_]:
        """Return a mask (R,) of the rows that have pieces, and none that is unknown."""
        complete = np.greater(split.lengths, 0)
        if self.unk_id is not None:
            complete[split.row_index[split.ids == self.unk_id]] = False
        return complete

    def _partition(self, token_id: int, token: str, is_special: bool) -> Partition:
        if token in self.multiword:
            split = self._split(self.multiword[token])
        elif not is_special:
            split = self._split([token])
        else:
            # An added token is text before normalization, and not a part of a word.
            split = self.backend.encode(token, add_special_tokens=False).ids
        source: Source = "averaged"
        ids = self._without_unknown(split)
        unk_pieces = len(split) - len(ids)
        if not ids:
            source = "fallback"
            ids = self._characters_or_bytes(token)
            unk_pieces = len(split)
        pieces = tuple(self.tokens[i] for i in ids)
        return Partition(token_id, token, source, pieces, ids, unk_pieces)

    def _characters_or_bytes(self, token: str) -> tuple[int, ...]:
        """Return the ids of the characters that the base has, or else of the bytes it has."""
        if ids := self._without_unknown(self._split(self.family.spell(token))):
            return ids
        text = self.family.surface(token).encode("utf-8", "surrogatepass")
        byte_tokens = (f"<0x{byte:02X}>" for byte in text)
        return tuple(self.ids[name] for name in byte_tokens if name in self.ids)

    def _split(self, tokens: Sequence[str]) -> list[int]:
        ids: list[int] = self.split_raw(tokens).ids.tolist()
        return ids

    def _without_unknown(self, ids: Iterable[int]) -> tuple[int, ...]:
        return tuple(i for i in ids if i != self.unk_id)


def _unk_id(base_tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the id that the model gives to what it does not know, None where it has none."""
    model = backend_of(base_tokenizer).model
    if isinstance(model, models.Unigram):
        # A Unigram model holds no unknown token but its id, and the backend does not show it.
        unk_id: int | None = backend_json(base_tokenizer)["model"]["unk_id"]
        return unk_id
    unk: str | None = model.unk_token
    return None if unk is None else model.token_to_id(unk)
