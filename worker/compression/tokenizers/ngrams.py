"""The n-grams of a corpus that save the most tokens as single tokens (arXiv 2402.09949).

A corpus is read as runs of words, its repeated n-grams are counted, and the one that saves the
most tokens is chosen again and again.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from worker.compression.corpus import Texts
from worker.compression.progress import Progress
from worker.compression.tokenizers.raw_tokens import Ints
from worker.compression.tokenizers.words import HALFWAY, REPORT_EVERY

# Words in an n-gram at most, as in arXiv 2402.09949.
LONGEST = 4

# Words of the corpus that are looked at: bounds memory, and is far more than a choice needs.
MAX_WORDS = 10_000_000

# N-grams that are looked at for each one wanted, best first by what they save alone.
_CANDIDATES_PER_TOKEN = 20

# N-grams chosen between two reports.
_REPORT_EVERY_CHOICES = 100

# Ends a run of words, so that no n-gram goes beyond it.
_BREAK = -1

# From a text to its runs: words with one space, and nothing else, between them.
SplitRuns = Callable[[str], Iterable[list[str]]]


@dataclass(frozen=True)
class WordRuns:
    """A corpus as runs of words.

    ``ids`` (N,) are indices into ``words``, with a break, -1, behind each run and ``LONGEST``
    breaks at the end, so that a window may start anywhere.
    """

    words: list[str]
    ids: Ints

    def without(self, dropped: set[int]) -> "WordRuns":
        """Return the same runs, broken at every dropped word."""
        if not dropped:
            return self
        return WordRuns(self.words, np.where(np.isin(self.ids, list(dropped)), _BREAK, self.ids))


def read_runs(split_runs: SplitRuns, texts: Texts, progress: Progress) -> WordRuns:
    """Read the runs of a corpus in one streamed pass; words are numbered as they come."""
    index: dict[str, int] = {}
    ids: list[Ints] = []
    size = 0
    for number, text in enumerate(texts()):
        runs = [
            [index.setdefault(word, len(index)) for word in run] + [_BREAK]
            for run in split_runs(text)
        ]
        ids.append(np.fromiter(chain.from_iterable(runs), np.int64))
        size += len(ids[-1])
        if size > MAX_WORDS:
            break
        if number % REPORT_EVERY == 0:
            progress(number / (number + HALFWAY), f"{number} documents read for n-grams")
    return WordRuns(list(index), np.concatenate([*ids, np.full(LONGEST, _BREAK)]))


@dataclass(frozen=True)
class NGrams:
    """The G n-grams of one length that occur at least twice.

    ``words`` (G, length) are indices of words, ``counts`` (G,) occurrences.
    """

    words: Ints
    counts: Ints
    _places: Ints
    _bounds: Ints

    def starts(self, index: int) -> Ints:
        """Return where n-gram number ``index`` begins in the corpus, in order, (counts[index],)."""
        return self._places[self._bounds[index] : self._bounds[index + 1]]


def repeated_ngrams(runs: WordRuns) -> Iterator[NGrams]:
    """Yield the n-grams of 2, 3 and 4 words that occur at least twice in the corpus."""
    # At length n, ngram_at[i] is the number of the repeated n-gram that begins at word i, or a
    # break; a repeated 1-gram is any word.
    ids, ngram_at = runs.ids, runs.ids
    for length in range(2, LONGEST + 1):
        # An n-gram is repeated only where both of its (n-1)-grams are.
        starts = np.flatnonzero((ngram_at[:-1] != _BREAK) & (ngram_at[1:] != _BREAK))
        # The first n-1 words and the last word as one number, equal where the n-grams are.
        keys = ngram_at[starts] * len(runs.words) + ids[starts + length - 1]
        _, first, key_index, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        repeated = np.flatnonzero(counts > 1)
        renumbered = np.full(len(counts), _BREAK)
        renumbered[repeated] = np.arange(len(repeated))
        ngram_at = np.full(len(ngram_at) - 1, _BREAK)
        ngram_at[starts] = renumbered[key_index]

        # Sorted by number, breaks first: the places of one n-gram are neighbours, in order.
        places = np.argsort(ngram_at, kind="stable")[np.count_nonzero(ngram_at == _BREAK) :]
        bounds = np.concatenate([[0], np.cumsum(counts[repeated])])
        words = ids[starts[first[repeated]][:, None] + np.arange(length)]
        yield NGrams(words, counts[repeated], places, bounds)


class Segmentation:
    """The corpus in units of one or more words.

    ``_tokens`` (N,) holds a unit's number of tokens at its first word and 0 at its others;
    ``_begins`` (N,) tells where a unit begins.
    """

    def __init__(self, ids: Ints, pieces: Ints) -> None:
        # The id of a break, -1, indexes the zero appended at the end.
        self._tokens = np.append(pieces, 0)[ids]
        self._begins = np.ones(len(ids), dtype=bool)

    def saved_by(self, starts: Ints, length: int) -> tuple[int, Ints]:
        """Return the tokens saved by making units of ``length`` words, and where they begin.

        Only whole units can be joined, and of places that overlap the leftmost are used.
        """
        whole = starts[self._begins[starts] & self._begins[starts + length]]
        places = _without_overlaps(whole, length)
        tokens = self._tokens[places[:, None] + np.arange(length)].sum()
        return int(tokens) - len(places), places

    def join(self, starts: Ints, length: int) -> None:
        """Make one unit, which is one token, of the ``length`` words at each start."""
        self._tokens[starts] = 1
        for offset in range(1, length):
            self._tokens[starts + offset] = 0
            self._begins[starts + offset] = False


def _without_overlaps(starts: Ints, length: int) -> Ints:
    """Return the starts that are at least ``length`` after the one before, from the left."""
    if len(starts) < 2 or (np.diff(starts) >= length).all():
        return starts
    kept = [int(starts[0])]
    for start in starts[1:]:
        if start >= kept[-1] + length:
            kept.append(int(start))
    return np.array(kept)


@dataclass(frozen=True)
class Candidate:
    """An n-gram that may become a token: its words by index, and where it begins."""

    words: tuple[int, ...]
    starts: Ints


def choose_ngrams(
    runs: WordRuns,
    pieces: Ints,
    count: int,
    accepts: Callable[[list[str]], bool],
    progress: Progress,
) -> list[list[str]]:
    """Return up to ``count`` n-grams, the one that saves the most tokens first.

    ``pieces`` (len(runs.words),) is the number of tokens of each word on its own. An n-gram
    saves, at each of its places that is still free, the tokens there now less the one that
    replaces them. N-grams that ``accepts`` refuses are passed over. Ties go to the n-gram that
    comes first by its words.
    """
    segmentation = Segmentation(runs.ids, pieces)
    candidates = list(_candidates(runs, pieces, count))
    names = [[runs.words[word] for word in candidate.words] for candidate in candidates]
    heap = [
        (-segmentation.saved_by(c.starts, len(c.words))[0], name, number)
        for number, (c, name) in enumerate(zip(candidates, names, strict=True))
    ]
    heapq.heapify(heap)
    chosen: list[list[str]] = []
    while heap and len(chosen) < count:
        bound, name, number = heap[0]
        starts, length = candidates[number].starts, len(name)
        # What an n-gram saves only falls as others are chosen: it is counted again at the top.
        saved, places = segmentation.saved_by(starts, length)
        if -bound > saved:
            heapq.heapreplace(heap, (-saved, name, number))
            continue
        heapq.heappop(heap)
        if saved <= 0:
            break
        if not accepts(name):
            continue
        segmentation.join(places, length)
        chosen.append(name)
        if len(chosen) % _REPORT_EVERY_CHOICES == 0:
            progress(len(chosen) / count, f"{len(chosen)} of {count} n-grams chosen")
    return chosen


def _candidates(runs: WordRuns, pieces: Ints, count: int) -> Iterator[Candidate]:
    """Yield the n-grams that save the most where no other is chosen."""
    levels = list(repeated_ngrams(runs))
    saved = np.concatenate([(pieces[g.words].sum(axis=1) - 1) * g.counts for g in levels])
    # All n-grams are numbered through, level by level.
    level_of = np.repeat(np.arange(len(levels)), [len(g.counts) for g in levels])
    offsets = np.cumsum([0, *(len(g.counts) for g in levels)])
    best = np.argsort(-saved, kind="stable")[: _CANDIDATES_PER_TOKEN * count]
    for number in best:
        level = int(level_of[number])
        index = int(number - offsets[level])
        words = tuple(int(word) for word in levels[level].words[index])
        yield Candidate(words, levels[level].starts(index))
