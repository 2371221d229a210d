"""Merges of neighbouring tokens: learned by frequency, applied by rank, dropped by cost.

``MergeTable`` and ``learn_merges`` find the merges of a corpus (Sennrich et al. 2016),
``MergeRules`` split words by ranked merges as a BPE model does, and ``prune_leaves`` drops merged
tokens that save little.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from worker.compression.progress import Progress, reported
from worker.compression.tokenizers.words import WordCounts

Pair = tuple[str, str]

# The rank of a pair that is no merge: higher than that of any merge.
_NO_RANK = 1 << 62

_REPORT_EVERY = 500


class MergeTable:
    """The words as sequences of symbols, with the count of each pair of neighbours."""

    def __init__(self, spelled: Iterable[Sequence[str]], counts: Iterable[int]) -> None:
        self.words: list[list[str]] = []
        self.counts = list(counts)
        self.pair_counts: Counter[Pair] = Counter()
        self.words_with: defaultdict[Pair, set[int]] = defaultdict(set)
        for index, symbols in enumerate(spelled):
            self.words.append(list(symbols))
            self._count_pairs(index, self.counts[index])
        self.heap = [(-count, *pair) for pair, count in self.pair_counts.items()]
        heapq.heapify(self.heap)

    def _count_pairs(self, index: int, count: int) -> None:
        """Add ``count`` to each pair of a word; a negative one takes an old spelling out."""
        for pair in pairwise(self.words[index]):
            self.pair_counts[pair] += count
            if count > 0:
                self.words_with[pair].add(index)

    def most_frequent(self) -> Pair | None:
        """Pop the pair with the highest count, ties by text; None where nothing is left."""
        while self.heap:
            count, left, right = heapq.heappop(self.heap)
            # Counts change while their entries wait: an outdated entry has a newer one behind it.
            if count < 0 and self.pair_counts[left, right] == -count:
                return left, right
        return None

    def merge(self, pair: Pair, merged: str) -> None:
        """Replace every occurrence of ``pair`` by ``merged``."""
        changed: set[Pair] = set()
        for index in self.words_with.pop(pair, ()):
            changed.update(pairwise(self.words[index]))
            self._count_pairs(index, -self.counts[index])
            self.words[index] = _replace_pair(self.words[index], pair, merged)
            self._count_pairs(index, self.counts[index])
            changed.update(pairwise(self.words[index]))
        for left, right in changed:
            if count := self.pair_counts[left, right]:
                heapq.heappush(self.heap, (-count, left, right))


def _replace_pair(symbols: list[str], pair: Pair, merged: str) -> list[str]:
    result: list[str] = []
    for symbol in symbols:
        if result and (result[-1], symbol) == pair:
            result[-1] = merged
        else:
            result.append(symbol)
    return result


def learn_merges(
    table: MergeTable, join: Callable[[str, str], str], excluded: Collection[str] = ()
) -> Iterator[Pair]:
    """Merge the most frequent pair again and again, and yield each pair.

    Pairs that would make an ``excluded`` token are passed over. Ties are broken by text, so the
    order depends on the word counts alone (the trainers of the tokenizers library break some of
    them by hash order).
    """
    while pair := table.most_frequent():
        if (merged := join(*pair)) not in excluded:
            table.merge(pair, merged)
            yield pair


def merge_candidates(
    table: MergeTable, join: Callable[[str, str], str], limit: int, progress: Progress
) -> list[str]:
    """Return up to ``limit`` distinct merged tokens in the order in which they were merged."""
    candidates: dict[str, None] = {}
    if limit:
        for pair in learn_merges(table, join):
            candidates[join(*pair)] = None
            if len(candidates) == limit:
                break
            if len(candidates) % _REPORT_EVERY == 0:
                progress(len(candidates) / limit, f"{len(candidates)} candidate tokens")
    return list(candidates)


class MergeRules:
    """Merges by rank: of all neighbours, the pair of the lowest rank is merged, leftmost first.

    ``ranks`` holds the merges in ascending order. ``pairs_into`` lists the pairs that make a
    token, ``pairs_with`` those that a token is part of.
    """

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self.ranks: dict[Pair, int] = {}
        self.pairs_into: defaultdict[str, list[Pair]] = defaultdict(list)
        self.pairs_with: defaultdict[str, set[Pair]] = defaultdict(set)
        for pair in pairs:
            self.append(pair)

    def append(self, pair: Pair) -> None:
        """Add a merge that comes after all others."""
        if pair in self.ranks:
            return
        self.ranks[pair] = next(reversed(self.ranks.values()), 0) + 1
        self.pairs_into["".join(pair)].append(pair)
        for token in pair:
            self.pairs_with[token].add(pair)

    def apply(
        self, symbols: Sequence[str], without: str | None = None
    ) -> tuple[list[str], list[Pair]]:
        """Return the pieces of a spelled word and the merges that led to them, in order.

        Merges that make the token ``without`` are left out.
        """
        pieces, applied = list(symbols), []
        while (index := self._lowest_rank(pieces, without)) is not None:
            pair = (pieces[index], pieces[index + 1])
            applied.append(pair)
            pieces[index : index + 2] = ["".join(pair)]
        return pieces, applied

    def _lowest_rank(self, pieces: list[str], without: str | None) -> int | None:
        lowest, position = _NO_RANK, None
        for index, pair in enumerate(pairwise(pieces)):
            rank = self.ranks.get(pair, _NO_RANK)
            if rank < lowest and (without is None or "".join(pair) != without):
                lowest, position = rank, index
        return position

    def split(self, symbols: Sequence[str], without: str | None = None) -> list[str]:
        """Return the pieces of a spelled word."""
        return self.apply(symbols, without)[0]

    def is_leaf(self, token: str) -> bool:
        """Tell whether no merge takes the token, so that no other token is lost with it."""
        return not self.pairs_with[token]

    def drop(self, token: str) -> set[str]:
        """Take out the merges that make ``token``, and return the tokens they joined."""
        joined: set[str] = set()
        for pair in self.pairs_into.pop(token, []):
            del self.ranks[pair]
            for half in pair:
                self.pairs_with[half].discard(pair)
                joined.add(half)
        return joined


def merges_for(base: MergeRules, spelled: Iterable[Sequence[str]]) -> MergeRules:
    """Return merges that lead to each of the spelled tokens, where possible those of the base.

    Pieces that the base leaves apart are joined from the left. A subset of ranked merges that
    holds all those of a token still leads to it: no other merge ever took part.
    """
    tokens = list(spelled)
    needed = {pair for symbols in tokens for pair in base.apply(symbols)[1]}
    rules = MergeRules(sorted(needed, key=lambda pair: base.ranks[pair]))
    for symbols in tokens:
        while len(pieces := rules.split(symbols)) > 1:
            rules.append((pieces[0], pieces[1]))
    return rules


class MergeUsage:
    """The pieces of every word under the merges, and the words that use each token."""

    def __init__(
        self,
        rules: MergeRules,
        words: WordCounts,
        spell: Callable[[str], list[str]],
        progress: Progress,
    ) -> None:
        self.rules = rules
        self.counts = list(words.values())
        self.spelled = [spell(word) for word in words]
        self.pieces: list[list[str]] = []
        self.words_using: defaultdict[str, set[int]] = defaultdict(set)
        for symbols in reported(self.spelled, progress, "splitting the corpus's words"):
            self.pieces.append(rules.split(symbols))
            self._index_pieces(len(self.pieces) - 1)

    def _index_pieces(self, index: int) -> None:
        for piece in self.pieces[index]:
            self.words_using[piece].add(index)

    def cost_of_dropping(self, token: str) -> int:
        """Return the number of extra pieces without ``token``; it may be negative.

        Its two halves are joined with their neighbours where the other merges allow it.
        """
        halves = self.rules.pairs_into[token][0]
        cost = 0
        for index in self.words_using[token]:
            before = self.pieces[index]
            split = [half for p in before for half in (halves if p == token else (p,))]
            cost += self.counts[index] * (len(self.rules.split(split, token)) - len(before))
        return cost

    def drop(self, token: str) -> set[str]:
        """Take out a token, split the words that used it anew, and return what it joined."""
        joined = self.rules.drop(token)
        for index in self.words_using.pop(token, ()):
            for piece in self.pieces[index]:
                self.words_using[piece].discard(index)
            self.pieces[index] = self.rules.split(self.spelled[index])
            self._index_pieces(index)
        return joined


def prune_leaves(
    usage: MergeUsage,
    tokens: Iterable[str],
    surplus: int,
    progress: Progress,
    below: float = math.inf,
) -> set[str]:
    """Drop ``surplus`` of the ``tokens``, the cheapest first, and return those that are left.

    Only leaves can go, so that every token that is left is still made by its merges, and only
    those that cost less than ``below``. Ties go to the longer token, then by text.
    """
    left = set(tokens)

    def entry(token: str) -> tuple[int, int, str]:
        return usage.cost_of_dropping(token), -len(token), token

    heap = [entry(token) for token in sorted(left) if usage.rules.is_leaf(token)]
    heapq.heapify(heap)
    wanted, steps = len(left) - surplus, 0
    while len(left) > wanted and heap:
        if steps % _REPORT_EVERY == 0:
            progress(1 - (len(left) - wanted) / surplus, f"{len(left)} tokens, {wanted} wanted")
        steps += 1
        token = heapq.heappop(heap)[2]
        # A cost changes when other tokens go: it is counted again once it is the lowest.
        current = entry(token)
        if heap and current > heap[0]:
            heapq.heappush(heap, current)
            continue
        if current[0] >= below:
            break
        left.discard(token)
        for half in sorted(usage.drop(token)):
            if half in left and usage.rules.is_leaf(half):
                heapq.heappush(heap, entry(half))
    return left
