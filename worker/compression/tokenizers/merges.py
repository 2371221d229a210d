"""Candidate tokens by merging the most frequent pair of neighbours, again and again."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from worker.compression.progress import Progress, reported
from worker.compression.tokenizers.words import WordCounts

Pair = tuple[str, str]


class MergeTable:
    """The words as symbol sequences, with the count of each pair of neighbours."""

    def __init__(self, spelled: Iterable[Sequence[str]], counts: Iterable[int]) -> None:
        self.words: list[list[str]] = []
        self.counts = list(counts)
        self.pair_counts: Counter[Pair] = Counter()
        self.words_with: defaultdict[Pair, set[int]] = defaultdict(set)
        for index, symbols in enumerate(spelled):
            self.words.append(list(symbols))
            self._count(index, self.counts[index])
        self.heap = [(-count, *pair) for pair, count in self.pair_counts.items()]
        heapq.heapify(self.heap)

    def _count(self, index: int, count: int) -> None:
        for pair in pairwise(self.words[index]):
            self.pair_counts[pair] += count
            if count > 0:
                self.words_with[pair].add(index)

    def most_frequent(self) -> Pair | None:
        """Pop the pair with the highest count, ties by text; None where nothing is left."""
        while self.heap:
            count, left, right = heapq.heappop(self.heap)
            if count < 0 and self.pair_counts[left, right] == -count:
                return left, right
        return None

    def merge(self, pair: Pair, merged: str) -> None:
        """Replace every occurrence of ``pair`` by ``merged``."""
        changed: set[Pair] = set()
        for index in self.words_with.pop(pair, ()):
            changed.update(pairwise(self.words[index]))
            self._count(index, -self.counts[index])
            self.words[index] = _merged(self.words[index], pair, merged)
            self._count(index, self.counts[index])
            changed.update(pairwise(self.words[index]))
        for left, right in changed:
            if count := self.pair_counts[left, right]:
                heapq.heappush(self.heap, (-count, left, right))


def _merged(symbols: list[str], pair: Pair, merged: str) -> list[str]:
    result: list[str] = []
    for symbol in symbols:
        if result and (result[-1], symbol) == pair:
            result[-1] = merged
        else:
            result.append(symbol)
    return result


def merge_pairs(
    table: MergeTable, join: Callable[[str, str], str], barred: Collection[str] = ()
) -> Iterator[Pair]:
    """Yield merges as they are made; those that would make a ``barred`` token are not.

    The order breaks ties by text, so it depends on the word counts alone (the trainers of the
    tokenizers library break some of them by hash order).
    """
    while pair := table.most_frequent():
        if (merged := join(*pair)) not in barred:
            table.merge(pair, merged)
            yield pair


def merge_candidates(
    table: MergeTable, join: Callable[[str, str], str], limit: int, progress: Progress
) -> list[str]:
    """Return up to ``limit`` distinct merged tokens in the order in which they were merged."""
    candidates: dict[str, None] = {}
    if limit:
        for pair in merge_pairs(table, join):
            candidates[join(*pair)] = None
            if len(candidates) == limit:
                break
            if len(candidates) % 500 == 0:
                progress(len(candidates) / limit, f"{len(candidates)} candidate tokens")
    return list(candidates)


_NEVER = 1 << 62


class MergeRules:
    """Merges by rank: of all neighbours, the pair of the lowest rank is merged, leftmost first."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self.ranks: dict[Pair, int] = {}
        self.made_by: defaultdict[str, list[Pair]] = defaultdict(list)
        self.parts_of: defaultdict[str, set[Pair]] = defaultdict(set)
        for pair in pairs:
            self.append(pair)

    def append(self, pair: Pair) -> None:
        """Add a merge that comes after all others."""
        if pair in self.ranks:
            return
        self.ranks[pair] = next(reversed(self.ranks.values()), 0) + 1
        self.made_by["".join(pair)].append(pair)
        for part in pair:
            self.parts_of[part].add(pair)

    def trace(
        self, symbols: Sequence[str], without: str | None = None
    ) -> tuple[list[str], list[Pair]]:
        """Return the pieces of a spelled word and the merges that led to them, in order.

        The token ``without`` is not made.
        """
        pieces, applied = list(symbols), []
        while (at := self._next(pieces, without)) is not None:
            pair = (pieces[at], pieces[at + 1])
            applied.append(pair)
            pieces[at : at + 2] = ["".join(pair)]
        return pieces, applied

    def split(self, symbols: Sequence[str], without: str | None = None) -> list[str]:
        """Return the pieces of a spelled word."""
        return self.trace(symbols, without)[0]

    def _next(self, pieces: list[str], without: str | None) -> int | None:
        lowest, found = _NEVER, None
        for at, pair in enumerate(pairwise(pieces)):
            rank = self.ranks.get(pair, _NEVER)
            if rank < lowest and (without is None or "".join(pair) != without):
                lowest, found = rank, at
        return found

    def is_leaf(self, token: str) -> bool:
        """Tell whether no merge needs the token, so that it can go without another."""
        return not self.parts_of[token]

    def drop(self, token: str) -> set[str]:
        """Take out the merges that make ``token``, and return the parts they were made of."""
        parts: set[str] = set()
        for pair in self.made_by.pop(token, []):
            del self.ranks[pair]
            for part in pair:
                self.parts_of[part].discard(pair)
                parts.add(part)
        return parts


def kept_merges(base: MergeRules, kept: Iterable[Sequence[str]]) -> MergeRules:
    """Return merges that lead to each of the ``kept`` spelled tokens, as the base makes them.

    What the base leaves in several pieces is joined from the left. A subset of ranked merges that
    holds all those of a token still leads to it: no other merge ever took part.
    """
    spelled = list(kept)
    needed = {pair for symbols in spelled for pair in base.trace(symbols)[1]}
    rules = MergeRules(sorted(needed, key=lambda pair: base.ranks[pair]))
    for symbols in spelled:
        while len(pieces := rules.split(symbols)) > 1:
            rules.append((pieces[0], pieces[1]))
    return rules


_REPORT_EVERY = 500


class MergeUsage:
    """The pieces of every word under the merges, and which words use which token."""

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
            self._enter(len(self.pieces) - 1)

    def _enter(self, index: int) -> None:
        for piece in self.pieces[index]:
            self.words_using[piece].add(index)

    def cost_of_dropping(self, token: str) -> int:
        """Return the number of extra pieces without ``token``; it may be negative.

        Its parts are joined with their neighbours as far as the other merges allow.
        """
        parts = self.rules.made_by[token][0]
        return sum(self._extra_pieces(index, token, parts) for index in self.words_using[token])

    def _extra_pieces(self, index: int, token: str, parts: tuple[str, str]) -> int:
        before = self.pieces[index]
        split = [part for piece in before for part in (parts if piece == token else (piece,))]
        return self.counts[index] * (len(self.rules.split(split, token)) - len(before))

    def drop(self, token: str) -> set[str]:
        """Take out a token, split the words that used it anew, and return its parts."""
        parts = self.rules.drop(token)
        for index in self.words_using.pop(token, ()):
            for piece in self.pieces[index]:
                self.words_using[piece].discard(index)
            self.pieces[index] = self.rules.split(self.spelled[index])
            self._enter(index)
        return parts


def prune_leaves(
    usage: MergeUsage, tokens: Iterable[str], surplus: int, progress: Progress
) -> set[str]:
    """Drop ``surplus`` of the ``tokens``, the cheapest first, and return those that are left.

    Only a token that no other is made of can go, so every token that is left is still made by
    its merges. Costs only matter when a token comes to the top, and are counted again there. Ties
    go to the longer token, then by text.
    """
    left = set(tokens)

    def entry(token: str) -> tuple[int, int, str]:
        return usage.cost_of_dropping(token), -len(token), token

    heap = [entry(token) for token in sorted(left) if usage.rules.is_leaf(token)]
    heapq.heapify(heap)
    wanted, looks = len(left) - surplus, 0
    while len(left) > wanted:
        if looks % _REPORT_EVERY == 0:
            progress(1 - (len(left) - wanted) / surplus, f"{len(left)} tokens, {wanted} wanted")
        looks += 1
        token = heapq.heappop(heap)[2]
        current = entry(token)
        if heap and current > heap[0]:
            heapq.heappush(heap, current)
            continue
        left.discard(token)
        for piece in sorted(usage.drop(token)):
            if piece in left and usage.rules.is_leaf(piece):
                heapq.heappush(heap, entry(piece))
    return left
