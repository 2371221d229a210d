"""The Unigram family: pieces with probabilities, chosen by expectation maximization (Kudo 2018).

Training starts from all frequent parts of the corpus's words. Each round estimates the pieces'
probabilities from all splits of all words, and drops those that the corpus misses least. The
splits are the paths of one graph, the lattice, which is computed in numpy over all words at once.
"""

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
from worker.compression.tokenizers.fallback import fallback_characters, fitting_characters
from worker.compression.tokenizers.family import TrainingTask, check_ceiling, check_floor
from worker.compression.tokenizers.raw_tokens import Ints, RawSplitter, split_by_model
from worker.compression.tokenizers.tokenizer_json import Json, vocabulary_of
from worker.compression.tokenizers.words import (
    WORD_START,
    WordCounts,
    is_byte_token,
    spellable_runs,
    word_splitter,
)

Floats = NDArray[np.float64]

# What a dropped piece costs the corpus: its log-likelihood, or the number of pieces it then needs.
Loss = Literal["likelihood", "pieces"]

# Characters of a piece, as in SentencePiece's trainer.
LONGEST_PIECE = 16

# Tokens per held-out text of ADE at 25 % of T5's vocabulary: 25.7 with 4 seeds per token, 23.5
# with 10 and 23.6 with 20.
_SEEDS_PER_TOKEN = 10

# More seeds only where the vocabulary itself is large: they cost minutes, and add little.
_MOST_SEEDS = 100_000

# Most frequent words that are looked at: bounds memory.
_MOST_WORDS = 200_000

# Share of the pieces that a round leaves, and its EM steps, as in SentencePiece's trainer.
_SHRINKING, _EM_STEPS = 0.75, 2

# A piece that no split uses keeps a probability, so that its logarithm is finite.
_LEAST_COUNT = 0.1

# Log-probability by which a piece beats its best split: without it encoding might never use it.
_MARGIN = 1e-4

# A piece that the corpus uses less goes for a character that only its own token spells.
_FEWEST_USES = 2

_ASCII = string.ascii_letters + string.digits + string.punctuation


class Unigram:
    """Unigram language model over pieces, as SentencePiece trains it."""

    name = "unigram"
    spells_bytes = False

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Choose the vocabulary; ids: reserved tokens around the bytes, then by falling likelihood.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """
        base_pieces = task.base_model["vocab"]
        base_scores: dict[str, float] = dict(base_pieces)
        reserved = set(task.reserved.tokens)
        byte_scores = {token: s for token, s in base_scores.items() if is_byte_token(token)}
        words = spellable_runs(task.words, list, base_scores.keys() - reserved)
        required = self._required(task, words) - reserved - byte_scores.keys()
        fixed = len(reserved) + len(byte_scores)
        check_floor(task.vocab_size, fixed + len(required))

        progress(0.0, "counting the parts of words")
        seeds = seed_pieces(words, excluded={*required, *reserved, *byte_scores})
        size = task.vocab_size - fixed
        found = fallback_characters(self, task.base_model, word_splitter(task.backend), task.words)
        fallback = [one for one in found if one.token not in required | reserved]
        check_ceiling(size, len(required) + len(seeds) + len(fallback), fixed)
        candidates = {**dict.fromkeys(sorted(required), 1), **_character_counts(words)}
        most_seeds = min(_SEEDS_PER_TOKEN * size, max(_MOST_SEEDS, 3 * size))
        candidates |= dict(islice(seeds.items(), most_seeds))
        trainer = UnigramTrainer(words, candidates, required)
        loss: Loss = "likelihood" if task.selection == "frequency" else "pieces"
        trainer.shrink_to(size, loss, part(progress, 0.2, 0.9))
        free = max(0, size - int(trainer.alive.sum()))
        entering = fitting_characters(fallback, free, *trainer.rarely_used(_FEWEST_USES))
        if len(entering) > free:
            trainer.shrink_to(size - len(entering), loss, part(progress, 0.9, 1))

        pieces = trainer.result()
        # Never likelier than what the corpus has: its texts are split as without them.
        pieces |= dict.fromkeys(entering, min(pieces.values()))
        scores = {**byte_scores, **pieces}
        tokens = task.reserved.surround(list(scores))
        unk_id = task.base_model["unk_id"]
        return {
            **task.base_model,
            "vocab": [[t, scores.get(t, base_scores.get(t, 0.0))] for t in tokens],
            "unk_id": None if unk_id is None else tokens.index(base_pieces[unk_id][0]),
        }

    def _required(self, task: TrainingTask, words: WordCounts) -> set[str]:
        """Return the tokens to keep, their characters, and those of the corpus and of ASCII."""
        vocabulary = vocabulary_of(task.base_model)
        characters = {char for word in words for char in word} | {*_ASCII, WORD_START}
        of_kept = {char for token in task.keep_tokens for char in self.spell(token)}
        return {char for char in characters if char in vocabulary} | of_kept | set(task.keep_tokens)

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


def seed_pieces(words: WordCounts, excluded: Container[str]) -> dict[str, int]:
    """Return parts of words that occur at least twice, and the words, with their counts.

    Those that cover the most text come first.
    """
    counts: Counter[str] = Counter()
    for word, count in islice(words.items(), _MOST_WORDS):
        for start in range(len(word)):
            for end in range(start + 2, min(len(word), start + LONGEST_PIECE) + 1):
                counts[word[start:end]] += count
    ranked = sorted(counts.items(), key=lambda item: (-item[1] * len(item[0]), item[0]))
    return {p: n for p, n in ranked if (n > 1 or p in words) and p not in excluded}


def _character_counts(words: WordCounts) -> Counter[str]:
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    return characters


class UnigramTrainer:
    """K pieces with their log-probabilities, dropped until as many are left as are wanted.

    ``scores`` (K,) are log-probabilities, ``alive`` (K,) marks the pieces that are left and
    ``required`` (K,) those that are never dropped. ``counts`` (W,) are those of the W words.
    """

    def __init__(self, words: WordCounts, pieces: Mapping[str, int], required: set[str]) -> None:
        self.pieces = list(pieces)
        ids = {piece: i for i, piece in enumerate(self.pieces)}
        frequent = dict(islice(words.items(), _MOST_WORDS))
        self.words = Lattice(list(frequent), ids)
        self.counts: Floats = np.array(list(frequent.values()), dtype=np.float64)
        # A second lattice has the pieces as its words: how each is split once it is dropped.
        self.replacements = Lattice(self.pieces, ids, whole=False)
        self.alive: NDArray[np.bool_] = np.ones(len(self.pieces), dtype=bool)
        self.required = np.array([piece in required for piece in self.pieces])
        self.scores = _log_probabilities(np.array(list(pieces.values()), dtype=np.float64))

    def shrink_to(self, size: int, loss: Loss, progress: Progress) -> None:
        """Drop pieces round by round until ``size`` are left, the least missed first."""
        self._estimate()
        surplus = int(self.alive.sum()) - size
        while (left := int(self.alive.sum())) > size:
            progress(1 - (left - size) / surplus, f"{left} pieces, {size} wanted")
            self._drop(left - max(size, int(_SHRINKING * left)), loss)
            self._estimate()

    def _estimate(self) -> None:
        """Set the scores to the most likely ones (steps of expectation maximization)."""
        for _ in range(_EM_STEPS):
            counts = self.words.expected_counts(self.scores, self.counts)
            self.scores = np.where(self.alive, _log_probabilities(counts), -np.inf)

    def _drop(self, number: int, loss: Loss) -> None:
        droppable = np.flatnonzero(self.alive & ~self.required)
        cost = self._costs(loss)[droppable]
        self.alive[droppable[np.argsort(cost, kind="stable")[:number]]] = False
        self.words.keep_pieces(self.alive)
        self.replacements.keep_pieces(self.alive)

    def rarely_used(self, fewest: float) -> tuple[int, int]:
        """Return how many droppable pieces are used less than ``fewest`` times, how many never."""
        piece, word = self.words.best(self.scores).pieces()
        frequency = _sum_by(piece, self.counts[word], len(self.pieces))[self.alive & ~self.required]
        return int((frequency < fewest).sum()), int((frequency == 0).sum())

    def _costs(self, loss: Loss) -> Floats:
        """Return what the corpus loses with each piece, (K,)."""
        piece, word = self.words.best(self.scores).pieces()
        frequency = _sum_by(piece, self.counts[word], len(self.pieces))
        replacement = self.replacements.best(self.scores)
        if loss == "likelihood":
            less_likely = self.scores - replacement.scores
            costs: Floats = frequency * np.where(self.alive & ~self.required, less_likely, 0.0)
            return costs
        more_pieces = np.bincount(replacement.pieces()[1], minlength=len(self.pieces)) - 1
        # Among pieces that cost the same, those that are the least likely go first.
        ordered: Floats = frequency * more_pieces + np.exp(self.scores)
        return ordered

    def result(self) -> dict[str, float]:
        """Return the pieces, most likely first, each of them likelier than any split of it."""
        scores = {p: s for p, s, a in zip(self.pieces, self.scores, self.alive, strict=True) if a}
        raised: dict[str, float] = {}
        for piece in sorted(scores, key=lambda piece: (len(piece), piece)):
            raised[piece] = round(max(scores[piece], _best_split(piece, raised) + _MARGIN), 6)
        return dict(sorted(raised.items(), key=lambda item: (-item[1], item[0])))


def _log_probabilities(counts: Floats) -> Floats:
    """Return normalized logs, rare pieces discounted as by exp(digamma(n)), about n - 1/2."""
    discounted = np.maximum(counts - 0.5, _LEAST_COUNT)
    logs: Floats = np.log(discounted) - np.log(discounted.sum())
    return logs


def _best_split(piece: str, scores: Mapping[str, float]) -> float:
    """Return the log-probability of the likeliest split of ``piece`` into shorter pieces."""
    if len(piece) < 2:
        return -np.inf
    best: list[float] = [0.0]
    for end in range(1, len(piece) + 1):
        starts = (start for start in range(end) if piece[start:end] in scores)
        best.append(max((best[i] + scores[piece[i:end]] for i in starts), default=-np.inf))
    return best[-1]


class Layer(NamedTuple):
    """Edges of a lattice that can be followed together, grouped by the node they lead to.

    ``edges`` (E',) are indices of edges, ``nodes`` (M,) the nodes they reach, ``starts`` (M,)
    where the edges of each node begin in ``edges``.
    """

    edges: Ints
    nodes: Ints
    starts: Ints


class Lattice:
    """All splits of W words into pieces, as one graph in flat arrays.

    A word of n characters has n + 1 nodes, one before each character and one at its end. The
    nodes of all words are numbered one after the other, N in all. Each of the E edges is one
    occurrence of a piece in a word: ``piece`` (E,) and ``word`` (E,) say which, ``start`` (E,)
    and ``end`` (E,) are its nodes. A path from a word's ``first`` (W,) to its ``last`` (W,) node
    is one split of it. Without ``whole`` no word is a piece by itself.

    Each step is taken for all words at once, position by position and always in the same order:
    so sums are the same to the bit in every process.
    """

    def __init__(self, words: Sequence[str], ids: Mapping[str, int], *, whole: bool = True) -> None:
        lengths = np.array([len(word) for word in words])
        self.first: Ints = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]]).astype(np.int64)
        self.last: Ints = self.first + lengths
        self._set_edges(*_occurrences(words, ids, whole))

    def _set_edges(self, piece: Ints, word: Ints, start: Ints, end: Ints) -> None:
        """Take edges (E,), whose ``start`` and ``end`` are positions in their words."""
        self.piece, self.word = piece, word
        self._start_position, self._end_position = start, end
        self.start, self.end = self.first[word] + start, self.first[word] + end
        self._forward = _layers(end, self.end)

    def keep_pieces(self, alive: NDArray[np.bool_]) -> None:
        """Take out the edges of the pieces that are not ``alive`` (K,)."""
        left = alive[self.piece]
        self._set_edges(
            self.piece[left],
            self.word[left],
            self._start_position[left],
            self._end_position[left],
        )

    def expected_counts(self, scores: Floats, counts: Floats) -> Floats:
        """Return how often each piece is expected, (K,): the forward-backward algorithm.

        ``scores`` (K,) are the pieces' log-probabilities, ``counts`` (W,) those of the words. An
        edge's probability is that of all paths through it over that of all paths of its word.
        """
        weights = scores[self.piece]
        backward_layers = _layers(-self._start_position, self.start)
        forward = self._path_sums(self._forward, self.first, self.start, weights)
        backward = self._path_sums(backward_layers, self.last, self.end, weights)
        word_totals = forward[self.last][self.word]
        edges = forward[self.start] + weights + backward[self.end] - word_totals
        expected = np.exp(edges) * counts[self.word]
        return _sum_by(self.piece, expected, len(scores))

    def _path_sums(
        self, layers: list[Layer], origins: Ints, sources: Ints, weights: Floats
    ) -> Floats:
        """Return the log of the summed probability of all paths from an origin to each node, (N,).

        ``origins`` (W,) are the nodes where paths begin, ``sources`` (E,) the node that each edge
        comes from in the direction of the layers, ``weights`` (E,) log-probabilities of edges.
        """
        sums = np.full(int(self.last[-1]) + 1, -np.inf)
        sums[origins] = 0.0
        for layer in layers:
            paths = sums[sources[layer.edges]] + weights[layer.edges]
            # The highest of a node is taken out of the exponentials, so that none underflows.
            highest = np.maximum.reduceat(paths, layer.starts)
            spread = np.repeat(highest, np.diff([*layer.starts, len(paths)]))
            sums[layer.nodes] = highest + np.log(
                np.add.reduceat(np.exp(paths - spread), layer.starts)
            )
        return sums

    def best(self, scores: Floats) -> "BestSplits":
        """Return the most likely split of every word (the Viterbi algorithm)."""
        weights = scores[self.piece]
        best = np.full(int(self.last[-1]) + 1, -np.inf)
        best[self.first] = 0.0
        best_edge = np.full(len(best), -1)
        for layer in self._forward:
            paths = best[self.start[layer.edges]] + weights[layer.edges]
            highest = np.maximum.reduceat(paths, layer.starts)
            group = np.repeat(np.arange(len(layer.nodes)), np.diff([*layer.starts, len(paths)]))
            # Of the edges that reach a node's highest score, the first in order is taken.
            ties = np.flatnonzero(paths == highest[group])
            _, chosen = np.unique(group[ties], return_index=True)
            best_edge[layer.nodes] = layer.edges[ties[chosen]]
            best[layer.nodes] = highest
        return BestSplits(self, best_edge, best[self.last])


class BestSplits:
    """The most likely split of every word; ``scores`` (W,) are their log-probabilities."""

    def __init__(self, lattice: Lattice, best_edge: Ints, scores: Floats) -> None:
        self._lattice = lattice
        self._best_edge = best_edge
        self.scores = scores

    def pieces(self) -> tuple[Ints, Ints]:
        """Return the pieces of all splits, and the word that each belongs to, (P,) both."""
        lattice, edges = self._lattice, self._best_edge[self._lattice.last]
        steps: list[Ints] = []
        # Every word goes back one edge at a time; a first node has none, -1.
        while len(edges := edges[edges >= 0]):
            steps.append(edges)
            edges = self._best_edge[lattice.start[edges]]
        used = np.concatenate(steps) if steps else np.zeros(0, dtype=np.int64)
        return lattice.piece[used], lattice.word[used]


def _occurrences(words: Sequence[str], ids: Mapping[str, int], whole: bool) -> tuple[Ints, ...]:
    """Return each occurrence of a piece: piece, word, start and end in the word, (E,) each."""
    columns = tuple(array("q") for _ in range(4))
    for index, word in enumerate(words):
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + LONGEST_PIECE) + 1):
                piece = ids.get(word[start:end])
                if piece is None or (end - start == len(word) and not whole):
                    continue
                for column, value in zip(columns, (piece, index, start, end), strict=True):
                    column.append(value)
    return tuple(np.array(column, dtype=np.int64) for column in columns)


def _layers(position: Ints, node: Ints) -> list[Layer]:
    """Group edges by the ``position`` (E,) of the ``node`` (E,) they lead to, and by that node.

    A layer's edges come from nodes of earlier layers alone, so they can be followed together.
    """
    if not len(node):
        return []
    order = np.lexsort((node, position))
    layers = []
    for edges in np.split(order, np.flatnonzero(np.diff(position[order])) + 1):
        nodes, starts = np.unique(node[edges], return_index=True)
        layers.append(Layer(edges, nodes, starts))
    return layers


def _sum_by(index: Ints, weights: Floats, size: int) -> Floats:
    """Sum ``weights`` (P,) by their ``index`` (P,) below ``size``, (size,)."""
    return np.bincount(index, weights, size).astype(np.float64)
