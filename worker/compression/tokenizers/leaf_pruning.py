"""Selection by usage for BPE: drop the tokens whose loss costs the fewest pieces, leaf by leaf."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable

from worker.compression.progress import Progress, reported
from worker.compression.tokenizers.merge_rules import MergeRules
from worker.compression.tokenizers.words import WordCounts

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
        for part in sorted(usage.drop(token)):
            if part in left and usage.rules.is_leaf(part):
                heapq.heappush(heap, entry(part))
    return left
