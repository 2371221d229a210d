"""Intervals against arithmetic done another way: in plain Python, on the same draws."""

import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, spearmanr

from worker.compression.evaluation.intervals import (
    FEWEST,
    PerText,
    drawn_places,
    interval,
    intervals_of,
    median_ratio_interval,
    per_text,
    resamples,
    rowwise_correlation,
)
from worker.compression.evaluation.slices import GENERAL, places_of


def percentile(values: list[float], share: float) -> float:
    """Between the two values around the place, as textbooks have it."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def bits(seed: int, texts: int) -> PerText:
    draw = random.Random(seed)
    sizes = np.array([draw.randint(20, 400) for _ in range(texts)], dtype=float)
    before = np.array([size * draw.uniform(0.8, 1.6) for size in sizes])
    after = before * np.array([draw.uniform(0.95, 1.4) for _ in sizes])
    rows = np.stack([before, sizes], axis=1), np.stack([after, sizes], axis=1)
    return PerText([str(n) for n in range(texts)], *rows)


def test_the_interval_of_a_share_is_a_paired_one_over_texts() -> None:
    sums, shares, afters = bits(3, 40), list[float](), list[float]()
    places = drawn_places(40, seed=7)
    assert places is not None
    for row in places.tolist():
        before = sum(sums.before[i, 0] for i in row) / sum(sums.before[i, 1] for i in row)
        after = sum(sums.after[i, 0] for i in row) / sum(sums.after[i, 1] for i in row)
        shares.append(before / after)  # fewer bits are better
        afters.append(after)
    found = intervals_of(sums.draws(seed=7), higher_is_better=False)
    assert found["low"] == pytest.approx(percentile(shares, 0.025))
    assert found["high"] == pytest.approx(percentile(shares, 0.975))
    assert found["after_low"] == pytest.approx(percentile(afters, 0.025))
    assert found["after_high"] == pytest.approx(percentile(afters, 0.975))
    assert intervals_of(sums.draws(seed=7), higher_is_better=False) == found
    assert intervals_of(sums.draws(seed=8), higher_is_better=False) != found


def test_it_is_about_that_of_another_library() -> None:
    draw = np.random.default_rng(0)
    values = draw.beta(8, 2, size=300)
    sums = per_text([""] * 300, np.ones(300), values)
    found = intervals_of(sums.draws(), higher_is_better=True)
    theirs = bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    width = theirs.high - theirs.low
    assert found["low"] == pytest.approx(theirs.low, abs=0.15 * width)
    assert found["high"] == pytest.approx(theirs.high, abs=0.15 * width)


def test_it_holds_the_truth_about_as_often_as_it_says() -> None:
    draw, held, tries = np.random.default_rng(5), 0, 200
    for number in range(tries):
        values = draw.exponential(2.0, size=80)
        found = intervals_of(
            per_text([""] * 80, np.ones(80), values).draws(number), higher_is_better=True
        )
        assert found["low"] is not None
        assert found["high"] is not None
        held += found["low"] <= 2.0 <= found["high"]
    assert 0.88 * tries <= held <= 0.99 * tries


def test_of_too_few_texts_there_is_none() -> None:
    assert resamples(FEWEST - 1) is None
    assert bits(1, FEWEST - 1).draws() is None
    nothing = {"low": None, "high": None, "after_low": None, "after_high": None}
    assert intervals_of(None, higher_is_better=True) == nothing
    assert interval(np.array([np.nan] * 10)) is None


@given(st.integers(FEWEST, 60), st.integers(0, 5))
def test_counts_and_places_are_the_same_draws(items: int, seed: int) -> None:
    counts, places = resamples(items, seed, 20), drawn_places(items, seed, 20)
    assert counts is not None
    assert places is not None
    assert counts.sum(axis=1).tolist() == [items] * 20
    again = [np.bincount(row, minlength=items).tolist() for row in places]
    assert again == counts.astype(int).tolist()


@given(st.lists(st.floats(0.5, 2), min_size=FEWEST, max_size=40), st.floats(0.25, 4))
def test_a_ratio_of_medians_that_is_the_same_everywhere_has_no_width(
    times: list[float], ratio: float
) -> None:
    before = np.array(times)
    assert median_ratio_interval(before, before / ratio) == pytest.approx((ratio, ratio))


def test_the_ratio_of_medians_is_of_pairs() -> None:
    draw = random.Random(2)
    before = [draw.uniform(9, 11) for _ in range(30)]
    after = [draw.uniform(4, 6) for _ in range(30)]
    places = drawn_places(30)
    assert places is not None
    ratios = [
        statistics.median(before[i] for i in row) / statistics.median(after[i] for i in row)
        for row in places.tolist()
    ]
    expected = percentile(ratios, 0.025), percentile(ratios, 0.975)
    assert median_ratio_interval(np.array(before), np.array(after)) == pytest.approx(expected)


def test_correlations_row_by_row_are_scipys() -> None:
    draw = np.random.default_rng(4)
    first, second = draw.normal(size=(5, 30)), draw.normal(size=(5, 30))
    ranks = [np.argsort(np.argsort(one, axis=1), axis=1).astype(float) for one in (first, second)]
    expected = [spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    assert rowwise_correlation(*ranks).tolist() == pytest.approx(expected)


def test_slices_are_quarters_by_length_and_by_words_that_no_other_text_has() -> None:
    texts = ["a b", "a b c d e f", "zig zag", "a b a", "a b c d", "a b c", "a", "quark a b a b c d"]
    found = places_of(texts)
    assert sorted(found["short"]) == [0, 6]
    assert sorted(found["long"]) == [1, 7]
    # "e" and "f", "zig" and "zag", and "quark" stand in one text each.
    assert found["rare_words"] == [2, 1]
    assert len(set(GENERAL)) == len(GENERAL) >= 2 * FEWEST
