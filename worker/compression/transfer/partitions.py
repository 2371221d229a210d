"""Partitions: which base tokens each domain token is made of (Gee et al. 2022, section 3.1)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from worker.compression.tokenizers.raw_tokens import Bags, Ints, bags_of

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
    bags: Bags
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
        bags = Bags(self.bags.only(copied).ids, lengths)
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
        bags_of(row.base_ids for row in rows),
        np.array([row.unk_pieces for row in rows], dtype=np.int64),
        names.__getitem__,
    )
