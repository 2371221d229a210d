"""Candidate tokens by merging the most frequent pair of neighbours, again and again."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from worker.compression.progress import Progress

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
