"""Choosing n-grams by the tokens they save, each counted in what those before it left."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.compression.progress import Progress
from worker.compression.tokenizers.multiword_ngrams import Ids, NGrams, WordRuns, repeated_ngrams

_CANDIDATES_PER_TOKEN = 20
"""N-grams that are looked at for each that is wanted, best first by what they save alone."""

_REPORT_EVERY = 100


class Segmentation:
    """The corpus in units of one or more words: the tokens of each unit, where it begins."""

    def __init__(self, ids: Ids, pieces: NDArray[np.int64]) -> None:
        # A break is -1, which stands for the zero at the end.
        self._tokens = np.append(pieces, 0)[ids]
        self._begins = np.ones(len(ids), dtype=bool)

    def saved_by(self, starts: Ids, length: int) -> tuple[int, Ids]:
        """Return the tokens saved by making units of ``length`` words, and where they begin.

        Only whole units can be joined, and places that overlap are used from the left.
        """
        whole = starts[self._begins[starts] & self._begins[starts + length]]
        free = _apart(whole, length)
        tokens = self._tokens[free[:, None] + np.arange(length)].sum()
        return int(tokens) - len(free), free

    def join(self, starts: Ids, length: int) -> None:
        """Make one unit, which is one token, of the ``length`` words at each start."""
        self._tokens[starts] = 1
        for offset in range(1, length):
            self._tokens[starts + offset] = 0
            self._begins[starts + offset] = False


def _apart(starts: Ids, length: int) -> Ids:
    if len(starts) < 2 or (np.diff(starts) >= length).all():
        return starts
    kept = [int(starts[0])]
    for start in starts[1:]:
        if start >= kept[-1] + length:
            kept.append(int(start))
    return np.array(kept)


@dataclass(frozen=True)
class Candidate:
    """An n-gram that may become a token: its words by index, and its places."""

    words: tuple[int, ...]
    starts: Ids


def choose_ngrams(
    runs: WordRuns,
    pieces: NDArray[np.int64],
    count: int,
    accepts: Callable[[list[str]], bool],
    progress: Progress,
) -> list[list[str]]:
    """Return up to ``count`` n-grams, the one that saves the most tokens first.

    ``pieces`` is the number of tokens of each word on its own. An n-gram saves, at each of its
    places that is still free, the tokens that stand there now less the one that replaces them.
    What an n-gram saves only ever falls as others are chosen, so it is counted again only when
    it comes to the top. Ties go to the n-gram that comes first by its words.
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
        saved, free = segmentation.saved_by(starts, length)
        if -bound > saved:
            heapq.heapreplace(heap, (-saved, name, number))
            continue
        heapq.heappop(heap)
        if saved <= 0:
            break
        if not accepts(name):
            continue
        segmentation.join(free, length)
        chosen.append(name)
        if len(chosen) % _REPORT_EVERY == 0:
            progress(len(chosen) / count, f"{len(chosen)} of {count} n-grams chosen")
    return chosen


def _candidates(runs: WordRuns, pieces: NDArray[np.int64], count: int) -> Iterator[Candidate]:
    """Yield the n-grams that save the most where no other is chosen."""
    levels: list[NGrams] = list(repeated_ngrams(runs))
    saved = np.concatenate([(pieces[g.words].sum(axis=1) - 1) * g.counts for g in levels])
    level_of = np.repeat(np.arange(len(levels)), [len(g.counts) for g in levels])
    offsets = np.cumsum([0, *(len(g.counts) for g in levels)])
    best = np.argsort(-saved, kind="stable")[: _CANDIDATES_PER_TOKEN * count]
    for number in best:
        level = int(level_of[number])
        index = int(number - offsets[level])
        words = tuple(int(word) for word in levels[level].words[index])
        yield Candidate(words, levels[level].starts(index))
