"""The merges of a BPE model: splitting by them, and taking tokens out of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from worker.compression.tokenizers.merges import Pair

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
