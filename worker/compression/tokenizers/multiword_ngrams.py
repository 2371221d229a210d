"""The word n-grams of a corpus, and where each of them stands."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from worker.compression.corpus import Texts
from worker.compression.progress import Progress

LONGEST = 4
"""Words in an n-gram at most, as in arXiv 2402.09949."""

MAX_WORDS = 10_000_000
"""Words of the corpus that are looked at: bounds memory, and is far more than a choice needs."""

_BREAK = -1
_REPORT_EVERY = 2_000

Ids = NDArray[np.int64]
RunsOf = Callable[[str], Iterable[list[str]]]
"""From a text to its runs: the words that stand one space apart, with nothing else between."""


@dataclass(frozen=True)
class WordRuns:
    """A corpus as runs of words: indices into ``words``, with a break behind each run."""

    words: list[str]
    ids: Ids

    def without(self, dropped: set[int]) -> "WordRuns":
        """Return the same runs, broken at every dropped word."""
        if not dropped:
            return self
        return WordRuns(self.words, np.where(np.isin(self.ids, list(dropped)), _BREAK, self.ids))


def read_runs(runs_of: RunsOf, texts: Texts, progress: Progress) -> WordRuns:
    """Read the runs of a corpus in one streamed pass; words are numbered as they come."""
    index: dict[str, int] = {}
    ids: list[Ids] = []
    size = 0
    for number, text in enumerate(texts()):
        runs = [[index.setdefault(w, len(index)) for w in run] + [_BREAK] for run in runs_of(text)]
        ids.append(np.fromiter(chain.from_iterable(runs), np.int64))
        size += len(ids[-1])
        if size > MAX_WORDS:
            break
        if number % _REPORT_EVERY == 0:
            progress(number / (number + 50_000), f"{number} documents read for n-grams")
    return WordRuns(list(index), np.concatenate([*ids, np.full(LONGEST, _BREAK)]))


@dataclass(frozen=True)
class NGrams:
    """The n-grams of one length that stand at least twice; ``starts`` of one are its places."""

    words: NDArray[np.int64]
    counts: NDArray[np.int64]
    _places: Ids
    _bounds: Ids

    def starts(self, index: int) -> Ids:
        """Return where n-gram number ``index`` begins, in order."""
        return self._places[self._bounds[index] : self._bounds[index + 1]]


def repeated_ngrams(runs: WordRuns) -> Iterator[NGrams]:
    """Yield the n-grams of 2, 3 and 4 words that stand at least twice in the corpus."""
    ids, kinds = runs.ids, runs.ids
    for length in range(2, LONGEST + 1):
        # An n-gram stands twice only where both of its (n-1)-grams do.
        starts = np.flatnonzero((kinds[:-1] != _BREAK) & (kinds[1:] != _BREAK))
        keys = kinds[starts] * len(runs.words) + ids[starts + length - 1]
        _, first, kind, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        repeated = np.flatnonzero(counts > 1)
        renumbered = np.full(len(counts), _BREAK)
        renumbered[repeated] = np.arange(len(repeated))
        kinds = np.full(len(kinds) - 1, _BREAK)
        kinds[starts] = renumbered[kind]
        yield _located(kinds, starts[first[repeated]], counts[repeated], ids, length)


def _located(kinds: Ids, first: Ids, counts: Ids, ids: Ids, length: int) -> NGrams:
    order = np.argsort(kinds, kind="stable")
    places = order[np.count_nonzero(kinds == _BREAK) :]
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return NGrams(ids[first[:, None] + np.arange(length)], counts, places, bounds)
