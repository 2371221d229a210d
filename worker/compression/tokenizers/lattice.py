"""All segmentations of many words at once: the lattice of a unigram model (Kudo 2018), in numpy."""

from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LONGEST_PIECE = 16
"""Characters of a piece, as in SentencePiece's trainer."""


class Layer(NamedTuple):
    """Edges that reach nodes at one position of their words: ``edges[starts[i]:]`` ``nodes[i]``."""

    edges: Ints
    nodes: Ints
    starts: Ints


def totals(of: Ints, weights: Floats, size: int) -> Floats:
    """Sum the weights of each of the numbers below ``size``."""
    return np.bincount(of, weights, size).astype(np.float64)


class Lattice:
    """Edges are the places of pieces in words, nodes the gaps between characters.

    Without ``whole`` no word is a piece by itself. The work of each step is one over all words,
    position by position, always in the same order: so sums are the same in every process.
    """

    def __init__(
        self, words: Sequence[str], tokens: Mapping[str, int], *, whole: bool = True
    ) -> None:
        lengths = np.array([len(word) for word in words])
        self.first: Ints = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]]).astype(np.int64)
        self.last: Ints = self.first + lengths
        piece, word_of, start, end = _places(words, tokens, whole)
        self._take(piece, word_of, start, end)

    def _take(self, piece: Ints, word_of: Ints, start: Ints, end: Ints) -> None:
        self.piece, self.word_of = piece, word_of
        self.start, self.end = self.first[word_of] + start, self.first[word_of] + end
        self._from, self._to = start, end
        self._forward = _layers(end, self.end)

    def only(self, alive: NDArray[np.bool_]) -> None:
        """Take out the edges of the pieces that are not ``alive``."""
        left = alive[self.piece]
        self._take(self.piece[left], self.word_of[left], self._from[left], self._to[left])

    def expected_counts(self, scores: Floats, counts: Floats) -> Floats:
        """Return how often each piece is expected in words that occur ``counts`` times."""
        weights = scores[self.piece]
        ahead = self._totals(self._forward, self.first, self.start, weights)
        behind = self._totals(_layers(-self._from, self.start), self.last, self.end, weights)
        edges = ahead[self.start] + weights + behind[self.end] - ahead[self.last][self.word_of]
        expected = np.exp(edges) * counts[self.word_of]
        return totals(self.piece, expected, len(scores))

    def _totals(
        self, layers: list[Layer], origins: Ints, came_from: Ints, weights: Floats
    ) -> Floats:
        """Return the log of the summed probability of all ways to each node."""
        totals = np.full(int(self.last[-1]) + 1, -np.inf)
        totals[origins] = 0.0
        for layer in layers:
            ways = totals[came_from[layer.edges]] + weights[layer.edges]
            highest = np.maximum.reduceat(ways, layer.starts)
            spread = np.repeat(highest, np.diff([*layer.starts, len(ways)]))
            totals[layer.nodes] = highest + np.log(
                np.add.reduceat(np.exp(ways - spread), layer.starts)
            )
        return totals

    def best(self, scores: Floats) -> "Best":
        """Return the most likely segmentation of every word."""
        weights = scores[self.piece]
        total = np.full(int(self.last[-1]) + 1, -np.inf)
        total[self.first] = 0.0
        into = np.full(len(total), -1)
        for layer in self._forward:
            ways = total[self.start[layer.edges]] + weights[layer.edges]
            highest = np.maximum.reduceat(ways, layer.starts)
            group = np.repeat(np.arange(len(layer.nodes)), np.diff([*layer.starts, len(ways)]))
            _, chosen = np.unique(group[ways == highest[group]], return_index=True)
            into[layer.nodes] = layer.edges[np.flatnonzero(ways == highest[group])[chosen]]
            total[layer.nodes] = highest
        return Best(self, into, total[self.last])


class Best:
    """The best segmentation of every word: ``scores`` are log-probabilities, one a word."""

    def __init__(self, lattice: Lattice, into: Ints, scores: Floats) -> None:
        self._lattice = lattice
        self._into = into
        self.scores = scores

    def pieces(self) -> tuple[Ints, Ints]:
        """Return the pieces of all segmentations, and the word that each belongs to."""
        lattice, edges = self._lattice, self._into[self._lattice.last]
        found: list[Ints] = []
        while len(edges := edges[edges >= 0]):
            found.append(edges)
            edges = self._into[lattice.start[edges]]
        used = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        return lattice.piece[used], lattice.word_of[used]


def _places(words: Sequence[str], tokens: Mapping[str, int], whole: bool) -> tuple[Ints, ...]:
    """Return the pieces found in the words, the word of each, its start and its end there."""
    columns = tuple(array("q") for _ in range(4))
    for index, word in enumerate(words):
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + LONGEST_PIECE) + 1):
                piece = tokens.get(word[start:end])
                if piece is None or (end - start == len(word) and not whole):
                    continue
                for column, value in zip(columns, (piece, index, start, end), strict=True):
                    column.append(value)
    return tuple(np.array(column, dtype=np.int64) for column in columns)


def _layers(position: Ints, node: Ints) -> list[Layer]:
    """Group edges by the position of the node they lead to, in order, and by that node."""
    if not len(node):
        return []
    order = np.lexsort((node, position))
    places = position[order]
    layers = []
    for edges in np.split(order, np.flatnonzero(np.diff(places)) + 1):
        nodes, starts = np.unique(node[edges], return_index=True)
        layers.append(Layer(edges, nodes, starts))
    return layers
