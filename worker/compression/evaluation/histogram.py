"""How many texts have how many tokens, before and after, in the same bins."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_BINS = 24
_WITHIN = 0.99


@dataclass(frozen=True)
class Histogram:
    """Texts by their tokens: entry n counts those of n * width to (n + 1) * width - 1 tokens.

    The last entry counts all that are longer as well.
    """

    width: int
    before: list[int]
    after: list[int]


def histogram(before: Counter[int], after: Counter[int]) -> Histogram:
    """Put lengths, each with its number of texts, into up to 24 bins that hold 99 % one by one."""
    longest = max(_quantile(before), _quantile(after))
    width = longest // _BINS + 1
    bins = min(_BINS, longest // width + 1)
    return Histogram(width, list(_binned(before, width, bins)), list(_binned(after, width, bins)))


def _quantile(lengths: Counter[int]) -> int:
    seen, total = 0, lengths.total()
    for length in sorted(lengths):
        seen += lengths[length]
        if seen >= _WITHIN * total:
            return length
    return 0


def _binned(lengths: Counter[int], width: int, bins: int) -> Iterator[int]:
    found: Counter[int] = Counter()
    for length, texts in lengths.items():
        found[min(length // width, bins - 1)] += texts
    return (found[number] for number in range(bins))
