"""All segmentations of many words at once: the lattice of a unigram model (Kudo 2018), in numpy."""

import string
from array import array
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from worker.compression.progress import Progress, part
from worker.compression.tokenizers.family import TrainingTask, check_ceiling, check_floor
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model
from worker.compression.tokenizers.tokenizer_json import Json, vocabulary_of
from worker.compression.tokenizers.words import WORD_START, WordCounts, is_byte_token, known_runs

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


_SHRINKING = 0.75
"""Share of the pieces that a round leaves, as in SentencePiece's trainer."""

_EM_STEPS = 2

_WORDS = 200_000
"""Most frequent words that are looked at: bounds memory."""

_LEAST_COUNT = 0.1
_MARGIN = 1e-4

Loss = Literal["likelihood", "pieces"]


def seed_pieces(words: WordCounts, barred: Container[str]) -> dict[str, int]:
    """Return parts of words that occur at least twice, and the words, with their counts.

    Those that cover the most text come first.
    """
    counts: Counter[str] = Counter()
    for word, count in islice(words.items(), _WORDS):
        for start in range(len(word)):
            for end in range(start + 2, min(len(word), start + LONGEST_PIECE) + 1):
                counts[word[start:end]] += count
    ranked = sorted(counts.items(), key=lambda item: (-item[1] * len(item[0]), item[0]))
    return {p: n for p, n in ranked if (n > 1 or p in words) and p not in barred}


def letter_counts(words: WordCounts) -> Counter[str]:
    """Count the letters of words."""
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    return letters


class UnigramTrainer:
    """Pieces with their log-probabilities; those in ``kept`` are never dropped."""

    def __init__(self, words: WordCounts, pieces: Mapping[str, int], kept: set[str]) -> None:
        self.pieces = list(pieces)
        ids = {piece: i for i, piece in enumerate(self.pieces)}
        frequent = dict(islice(words.items(), _WORDS))
        self.words = Lattice(list(frequent), ids)
        self.counts: Floats = np.array(list(frequent.values()), dtype=np.float64)
        self.without_itself = Lattice(self.pieces, ids, whole=False)
        self.alive: NDArray[np.bool_] = np.ones(len(self.pieces), dtype=bool)
        self.kept = np.array([piece in kept for piece in self.pieces])
        self.scores = _log_probabilities(np.array(list(pieces.values()), dtype=np.float64))

    def shrink_to(self, size: int, loss: Loss, progress: Progress) -> None:
        """Drop pieces round by round until ``size`` are left, the least missed first."""
        self._maximize()
        surplus = int(self.alive.sum()) - size
        while (left := int(self.alive.sum())) > size:
            progress(1 - (left - size) / surplus, f"{left} pieces, {size} wanted")
            self._drop(left - max(size, int(_SHRINKING * left)), loss)
            self._maximize()

    def _maximize(self) -> None:
        for _ in range(_EM_STEPS):
            counts = self.words.expected_counts(self.scores, self.counts)
            self.scores = np.where(self.alive, _log_probabilities(counts), -np.inf)

    def _drop(self, number: int, loss: Loss) -> None:
        droppable = np.flatnonzero(self.alive & ~self.kept)
        missed = self._loss(loss)[droppable]
        self.alive[droppable[np.argsort(missed, kind="stable")[:number]]] = False
        self.words.only(self.alive)
        self.without_itself.only(self.alive)

    def _loss(self, loss: Loss) -> Floats:
        """Return what the corpus loses with each piece: log-likelihood, or pieces it then needs."""
        piece, word = self.words.best(self.scores).pieces()
        frequency = totals(piece, self.counts[word], len(self.pieces))
        instead = self.without_itself.best(self.scores)
        if loss == "likelihood":
            less_likely = self.scores - instead.scores
            missed: Floats = frequency * np.where(self.alive & ~self.kept, less_likely, 0.0)
            return missed
        more = np.bincount(instead.pieces()[1], minlength=len(self.pieces)) - 1
        # Among pieces that cost the same, those that are the least likely go first.
        weighed: Floats = frequency * more + np.exp(self.scores)
        return weighed

    def result(self) -> dict[str, float]:
        """Return the pieces, most likely first, each of them likelier than any split of it."""
        found = {p: s for p, s, a in zip(self.pieces, self.scores, self.alive, strict=True) if a}
        reachable = _reachable(found)
        return dict(sorted(reachable.items(), key=lambda item: (-item[1], item[0])))


def _log_probabilities(counts: Floats) -> Floats:
    """Return normalized logs, rare pieces discounted as by exp(digamma(n)), about n - 1/2."""
    discounted = np.maximum(counts - 0.5, _LEAST_COUNT)
    logs: Floats = np.log(discounted) - np.log(discounted.sum())
    return logs


def _reachable(scores: Mapping[str, float]) -> dict[str, float]:
    """Return scores raised where a piece's split is likelier than the piece, shortest first."""
    raised: dict[str, float] = {}
    for piece in sorted(scores, key=lambda piece: (len(piece), piece)):
        raised[piece] = round(max(scores[piece], _best_split(piece, raised) + _MARGIN), 6)
    return raised


def _best_split(piece: str, scores: Mapping[str, float]) -> float:
    best: list[float] = [0.0]
    for end in range(1, len(piece) + 1):
        parts = (start for start in range(end) if piece[start:end] in scores)
        best.append(max((best[i] + scores[piece[i:end]] for i in parts), default=-np.inf))
    return best[-1] if len(piece) > 1 else -np.inf


_SEEDS_PER_TOKEN = 10
"""Tokens a held-out text of ADE at 25 % of T5's vocabulary: 25.7 with 4 seeds a token, 23.5 with 10
and 23.6 with 20."""

_MOST_SEEDS = 100_000
"""More than these only where the vocabulary itself is large: they cost minutes, and add little."""

_ASCII = string.ascii_letters + string.digits + string.punctuation


class Unigram:
    name = "unigram"

    def as_token(self, word: str) -> str:
        return word

    def spell(self, token: str) -> list[str]:
        return [token] if is_byte_token(token) else list(token)

    def surface(self, token: str) -> str:
        if is_byte_token(token):
            return chr(int(token[3:-1], 16))
        return token.removeprefix(WORD_START) or token

    def raw_splitter(self, backend: Tokenizer) -> RawSplitter:
        return split_by_model(backend)

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Choose the vocabulary; ids: reserved tokens around the bytes, then by falling likelihood.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """
        reserved = set(task.layout.tokens)
        base_scores: dict[str, float] = dict(task.base_model["vocab"])
        byte_scores = {token: s for token, s in base_scores.items() if is_byte_token(token)}
        words = known_runs(task.words, list, base_scores.keys() - reserved)
        kept = self._kept(task, words) - reserved - byte_scores.keys()
        fixed = len(reserved) + len(byte_scores)
        check_floor(task.vocab_size, fixed + len(kept))
        progress(0.0, "counting the parts of words")
        seeds = seed_pieces(words, barred={*kept, *reserved, *byte_scores})
        size = task.vocab_size - fixed
        check_ceiling(size, len(kept) + len(seeds), fixed)
        candidates = {**dict.fromkeys(sorted(kept), 1), **letter_counts(words)}
        number = min(_SEEDS_PER_TOKEN * size, max(_MOST_SEEDS, 3 * size))
        candidates |= dict(islice(seeds.items(), number))
        trainer = UnigramTrainer(words, candidates, kept)
        loss: Loss = "likelihood" if task.selection == "frequency" else "pieces"
        trainer.shrink_to(size, loss, part(progress, 0.2, 1))
        return _model(task, {**byte_scores, **trainer.result()})

    def _kept(self, task: TrainingTask, words: WordCounts) -> set[str]:
        known = vocabulary_of(task.base_model)
        letters = {letter for word in words for letter in word} | {*_ASCII, WORD_START}
        spelled = {letter for token in task.kept for letter in self.spell(token)}
        return {letter for letter in letters if letter in known} | spelled | set(task.kept)


def _model(task: TrainingTask, scores: dict[str, float]) -> Json:
    base = task.base_model["vocab"]
    base_scores: dict[str, float] = dict(base)
    tokens = task.layout.around(list(scores))
    unk_id = task.base_model["unk_id"]
    return {
        **task.base_model,
        "vocab": [[t, scores.get(t, base_scores.get(t, 0.0))] for t in tokens],
        "unk_id": None if unk_id is None else tokens.index(base[unk_id][0]),
    }
