"""Give figures their intervals: the bootstrap over the texts, queries or pairs they are of.

Both models are drawn on the same texts, so that the interval of a share is a paired one: how many
texts there are and the seed say which are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES = 400
# Fewer texts than this, drawn again and again, seem more alike than they are.
FEWEST = 8
_TAILS = (2.5, 97.5)


@dataclass(frozen=True)
class Draws:
    """Holds a figure of both models on the same resamples, each an array (resamples)."""

    before: Array
    after: Array


@dataclass(frozen=True)
class PerText:
    """Holds what figures are sums of: of each text a row, numerator and denominator (texts, 2).

    A figure is the sum of the numerators by that of the denominators.
    """

    texts: Sequence[str]
    before: Array
    after: Array

    def part(self, places: Sequence[int]) -> "PerText":
        """Return what some of the texts come to."""
        rows = list(places)
        return PerText([self.texts[i] for i in rows], self.before[rows], self.after[rows])

    @property
    def figures(self) -> tuple[float, float]:
        """The figures before and after."""
        (a, b), (c, d) = self.before.sum(axis=0), self.after.sum(axis=0)
        return float(a / b), float(c / d)

    def draws(self, seed: int = 0) -> Draws | None:
        """Return the figures on resamples of the texts; None where they are too few."""
        counts = resamples(len(self.texts), seed)
        if counts is None:
            return None
        return Draws(*(_ratios(counts @ sums) for sums in (self.before, self.after)))


def per_text(texts: Sequence[str], before: Array, after: Array) -> PerText:
    """Return the sums of figures that are means over the texts; both arrays are (texts)."""
    ones = np.ones(len(texts))
    return PerText(texts, np.stack([before, ones], axis=1), np.stack([after, ones], axis=1))


def resamples(items: int, seed: int = 0, number: int = RESAMPLES) -> Array | None:
    """Return how often each item is in each resample (resamples, items); None of too few items."""
    if items < FEWEST:
        return None
    draw = np.random.default_rng([seed, items])
    return draw.multinomial(items, np.full(items, 1 / items), size=number).astype(np.float64)


def drawn_places(items: int, seed: int = 0, number: int = RESAMPLES) -> NDArray[np.int64] | None:
    """Return the places of the items of each resample (resamples, items), as `resamples` counts."""
    counts = resamples(items, seed, number)
    if counts is None:
        return None
    return np.stack([np.repeat(np.arange(items), row.astype(int)) for row in counts])


def _ratios(sums: Array) -> Array:
    """Return numerators by denominators (resamples, 2); NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Array = sums[:, 0] / sums[:, 1]
    return ratios


def interval(draws: Array) -> Interval | None:
    """Return where 95 of 100 resamples lie; None where too few of them have a figure."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < len(draws) / 2 or not len(finite):
        return None
    low, high = np.percentile(finite, _TAILS)
    return float(low), float(high)


def retention_interval(draws: Draws, *, higher_is_better: bool) -> Interval | None:
    """Return the interval of the share of the base's quality that is left."""
    share, whole = (draws.after, draws.before) if higher_is_better else (draws.before, draws.after)
    with np.errstate(divide="ignore", invalid="ignore"):
        return interval(np.where(whole > 0, share / whole, np.nan))


def median_ratio_interval(before: Array, after: Array, seed: int = 0) -> Interval | None:
    """Return the interval of the ratio of two medians of figures that were taken in pairs."""
    places = drawn_places(len(before), seed)
    if places is None:
        return None
    return interval(np.median(before[places], axis=1) / np.median(after[places], axis=1))


class Intervals(TypedDict):
    """The fields of a row of the report that say how far its figures may be trusted."""

    low: float | None
    high: float | None
    after_low: float | None
    after_high: float | None


def intervals_of(draws: Draws | None, *, higher_is_better: bool) -> Intervals:
    """Return the intervals of what is kept and of the figure after; None where there are none."""
    kept = draws and retention_interval(draws, higher_is_better=higher_is_better)
    after = draws and interval(draws.after)
    (low, high), (after_low, after_high) = kept or (None, None), after or (None, None)
    return Intervals(low=low, high=high, after_low=after_low, after_high=after_high)


def rowwise_correlation(first: Array, second: Array) -> Array:
    """Return Pearson's correlation of each row with its like; NaN where a row has one value."""
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    products: Array = (first * second).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations: Array = products / np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return correlations
