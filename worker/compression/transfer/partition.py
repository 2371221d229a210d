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
from worker.compression.tokenizers.families import family_of
from worker.compression.tokenizers.family import Family
from worker.compression.tokenizers.multiword import multiword_tokens
from worker.compression.tokenizers.raw_tokens import Ints, RaggedIds, interleaved, ragged_ids
from worker.compression.tokenizers.tokenizer_json import backend_json, backend_of, unbounded

Source = Literal["copied", "averaged", "fallback", "random"]
SOURCES: tuple[Source, ...] = ("copied", "averaged", "fallback", "random")


@dataclass(frozen=True)
class Partition:
    """A domain token, where its embedding comes from, and the base tokens it is made of.

    ``fallback`` is an average over the characters or bytes that the base knows, or, where
    ``base_ids`` is empty, over the whole base vocabulary. ``unk_pieces`` are pieces dropped as
    unknown.
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

    ``bags`` are the base ids of each token, ``sources`` (V_in,) indices into ``SOURCES``. A
    vocabulary has a hundred thousand tokens: columns become embeddings without a step for each.
    """

    tokens: Sequence[str]
    sources: NDArray[np.int8]
    bags: RaggedIds
    unk_pieces: Ints
    base_token: Callable[[int], str]

    def where(self, source: Source) -> NDArray[np.bool_]:
        """Return which tokens (V_in,) have their embedding from ``source``."""
        return np.equal(self.sources, SOURCES.index(source))

    def without_pieces(self) -> "Partitions":
        """Return the partitions of the PVT baseline: what is not copied is random."""
        copied = self.where("copied")
        sources = np.where(copied, self.sources, SOURCES.index("random")).astype(np.int8)
        lengths = np.where(copied, self.bags.lengths, 0)
        bags = RaggedIds(self.bags.only(copied).ids, lengths)
        none = np.zeros_like(self.unk_pieces)
        return replace(self, sources=sources, bags=bags, unk_pieces=none)

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
        return self._partition(index, int(self.bags.starts[index]))

    def __iter__(self) -> Iterator[Partition]:
        return map(self._partition, range(len(self)), self.bags.starts.tolist())

    def _partition(self, index: int, start: int) -> Partition:
        end = start + int(self.bags.lengths[index])
        ids = tuple(self.bags.ids[start:end].tolist())
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
    groups = multiword_tokens(domain_tokenizer) if any(" " in token for token in tokens) else {}
    special = {*domain_tokenizer.get_added_vocab(), *groups, ""}
    partitioner = _Partitioner(base_tokenizer, family, groups)
    return partitioner.partition_all(tokens, special)


class _Partitioner:
    def __init__(
        self,
        base_tokenizer: PreTrainedTokenizerBase,
        family: Family,
        words_of: Mapping[str, Sequence[str]],
    ) -> None:
        self.base_tokenizer = base_tokenizer
        self.family = family
        self.words_of = words_of
        self.split_raw = family.raw_splitter(backend_of(base_tokenizer))
        self.known: dict[str, int] = base_tokenizer.get_vocab()
        self.tokens = {i: token for token, i in self.known.items()}
        self.unk_id = _unk_id(base_tokenizer)

    @cached_property
    def backend(self) -> Tokenizer:
        return unbounded(self.base_tokenizer)

    def partition_all(self, tokens: Sequence[str], special: Container[str]) -> Partitions:
        """Partition what the model alone can at once, and what needs more one by one."""
        known = np.array([self.known.get(token, -1) for token in tokens], dtype=np.int64)
        copied = known >= 0
        plain = np.array([token not in special for token in tokens]) & ~copied
        split = self.split_raw([tokens[i] for i in np.flatnonzero(plain).tolist()])
        whole = self._are_known(split)
        plain[plain] = whole
        others = np.flatnonzero(~(copied | plain)).tolist()
        rest = as_columns(self._partition(i, tokens[i], tokens[i] in special) for i in others)
        groups = (
            (copied, RaggedIds(known[copied], np.ones(int(copied.sum()), dtype=np.int64))),
            (plain, split.only(whole)),
            (np.array(others, dtype=np.int64), rest.bags),
        )
        sources = np.where(copied, SOURCES.index("copied"), SOURCES.index("averaged"))
        sources[others] = rest.sources
        unk_pieces = np.zeros(len(tokens), dtype=np.int64)
        unk_pieces[others] = rest.unk_pieces
        bags = interleaved(groups, len(tokens))
        return Partitions(
            tokens, sources.astype(np.int8), bags, unk_pieces, self.tokens.__getitem__
        )

    def _are_known(self, split: RaggedIds) -> NDArray[np.bool_]:
        """Return which tokens have pieces, and none that is unknown."""
        known = np.greater(split.lengths, 0)
        if self.unk_id is not None:
            known[split.owners[split.ids == self.unk_id]] = False
        return known

    def _partition(self, token_id: int, token: str, is_special: bool) -> Partition:
        split = self._split(token, is_special)
        ids = self._known(split)
        if not ids:
            return self._fallback(token_id, token, len(split))
        pieces = tuple(self.tokens[i] for i in ids)
        return Partition(token_id, token, "averaged", pieces, ids, len(split) - len(ids))

    def _split(self, token: str, is_special: bool) -> list[int]:
        if token in self.words_of:
            return self._ids(self.words_of[token])
        if not is_special:
            return self._ids([token])
        # An added token stands before normalization, not inside a word.
        ids: list[int] = self.backend.encode(token, add_special_tokens=False).ids
        return ids

    def _fallback(self, token_id: int, token: str, unk_pieces: int) -> Partition:
        """Average over the characters that the base knows, or else over the bytes."""
        ids = self._known(self._ids(self.family.spell(token)))
        if not ids:
            text = self.family.surface(token).encode("utf-8", "surrogatepass")
            names = (f"<0x{byte:02X}>" for byte in text)
            ids = tuple(self.known[name] for name in names if name in self.known)
        pieces = tuple(self.tokens[i] for i in ids)
        return Partition(token_id, token, "fallback", pieces, ids, unk_pieces)

    def _ids(self, tokens: Sequence[str]) -> list[int]:
        ids: list[int] = self.split_raw(tokens).ids.tolist()
        return ids

    def _known(self, ids: Iterable[int]) -> tuple[int, ...]:
        return tuple(i for i in ids if i != self.unk_id)


def _unk_id(base_tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the id of what the model does not know; a Unigram piece's text is not ``<unk>``."""
    model = backend_of(base_tokenizer).model
    if isinstance(model, models.Unigram):
        unk_id: int | None = backend_json(base_tokenizer)["model"]["unk_id"]
        return unk_id
    unk: str | None = model.unk_token
    return None if unk is None else model.token_to_id(unk)
