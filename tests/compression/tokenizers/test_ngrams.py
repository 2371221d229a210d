"""The n-grams that are chosen, against counting by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.compression.progress import silent
from worker.compression.tokenizers.ngrams import (
    LONGEST,
    choose_ngrams,
    read_runs,
    repeated_ngrams,
)

PIECES = {"a": 1, "b": 1, "c": 2, "d": 5}
Unit = tuple[str, ...]
CORPORA = st.lists(st.lists(st.sampled_from("abcd"), max_size=12), min_size=1, max_size=6)


def chosen(corpus: list[list[str]], count: int, accepts: str = "") -> list[str]:
    runs = read_runs(lambda text: [text.split()], lambda: map(" ".join, corpus), silent)
    pieces = np.array([PIECES[word] for word in runs.words], dtype=np.int64)
    names = choose_ngrams(runs, pieces, count, lambda words: "".join(words) != accepts, silent)
    return ["".join(name) for name in names]


def joined(units: list[Unit], ngram: Unit) -> list[Unit]:
    """Replace the n-gram from the left, wherever it is made of whole units."""
    result: list[Unit] = []
    at = 0
    while at < len(units):
        ends = [e for e in range(at + 1, len(units) + 1) if sum(units[at:e], ()) == ngram]
        result.append(ngram if ends else units[at])
        at = ends[0] if ends else at + 1
    return result


def tokens(segmented: list[list[Unit]]) -> int:
    units = [unit for run in segmented for unit in run]
    return sum(PIECES[unit[0]] if len(unit) == 1 else 1 for unit in units)


def by_hand(corpus: list[list[str]], count: int) -> list[int]:
    """The tokens left after each choice, where every n-gram is tried every time."""
    segmented: list[list[Unit]] = [[(word,) for word in run] for run in corpus]
    ngrams = {
        tuple(run[i : i + n])
        for run in corpus
        for n in range(2, LONGEST + 1)
        for i in range(len(run) - n + 1)
    }
    repeated = [
        g
        for g in sorted(ngrams)
        if sum(tuple(r[i : i + len(g)]) == g for r in corpus for i in range(len(r))) > 1
    ]
    left = []
    for _ in range(count):
        best = min(
            repeated, key=lambda g: (tokens([joined(run, g) for run in segmented]), g), default=None
        )
        if best is None or tokens([joined(run, best) for run in segmented]) == tokens(segmented):
            break
        segmented = [joined(run, best) for run in segmented]
        left.append(tokens(segmented))
    return left


@settings(max_examples=150)
@given(corpus=CORPORA)
def test_each_choice_saves_what_the_best_by_hand_does(corpus: list[list[str]]) -> None:
    segmented: list[list[Unit]] = [[(word,) for word in run] for run in corpus]
    left = []
    for name in chosen(corpus, 4):
        segmented = [joined(run, tuple(name)) for run in segmented]
        left.append(tokens(segmented))
    assert left == by_hand(corpus, 4)


@settings(max_examples=100)
@given(corpus=CORPORA)
def test_every_repeated_ngram_is_found_where_it_is(corpus: list[list[str]]) -> None:
    runs = read_runs(lambda text: [text.split()], lambda: map(" ".join, corpus), silent)
    flat = [word for run in corpus for word in [*run, None]]
    for length, level in enumerate(repeated_ngrams(runs), start=2):
        found = {
            tuple(runs.words[w] for w in words): list(level.starts(number))
            for number, words in enumerate(level.words)
        }
        places: dict[tuple[str | None, ...], list[int]] = {}
        for at in range(len(flat) - length + 1):
            places.setdefault(tuple(flat[at : at + length]), []).append(at)
        assert found == {g: at for g, at in places.items() if len(at) > 1 and None not in g}
        assert list(level.counts) == [len(at) for at in found.values()]


def test_tokens_saved_count_and_not_how_often() -> None:
    corpus = [*"abababab"], *[[*"dd"]] * 2, *[[*"dc"]] * 3
    assert chosen(list(corpus), 2) == ["dc", "dd"]


def test_what_overlaps_does_not_count_twice() -> None:
    assert chosen([[*"abc"]] * 5, 2) == ["abc"]
    assert chosen([[*"aaaa"]] * 3, 1) == ["aaaa"]


def test_what_is_not_accepted_is_left_out() -> None:
    assert chosen([[*"abc"]] * 5, 1, accepts="abc") == ["bc"]


def test_nothing_goes_beyond_a_run() -> None:
    assert chosen([["a"], ["b"]] * 5, 1) == []
    assert chosen([[]], 1) == []
