from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from worker.compression.progress import silent
from worker.compression.tokenizers.merges import MergeTable, merge_candidates

WORDS = st.dictionaries(st.text("abc", min_size=1, max_size=8), st.integers(1, 5), min_size=1)


def naive_merges(counts: dict[str, int], limit: int) -> list[str]:
    """Count all pairs anew for every merge."""
    words = {word: list(word) for word in counts}
    made: dict[str, None] = {}
    while len(made) < limit:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in pairwise(symbols):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        made["".join(best)] = None
        for word, symbols in words.items():
            merged, position = [], 0
            while position < len(symbols):
                width = 2 if tuple(symbols[position : position + 2]) == best else 1
                merged.append("".join(symbols[position : position + width]))
                position += width
            words[word] = merged
    return list(made)


@given(WORDS, st.integers(1, 12))
def test_merges_are_those_of_counting_all_pairs_anew(counts: dict[str, int], limit: int) -> None:
    table = MergeTable((list(word) for word in counts), counts.values())
    made = merge_candidates(table, lambda left, right: left + right, limit, silent)
    assert made == naive_merges(counts, limit)
