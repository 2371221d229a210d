from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from worker.compression.evaluation.tokens import histogram

lengths = st.lists(st.integers(0, 3000), min_size=1, max_size=300).map(Counter)


@given(lengths, lengths)
def test_every_text_is_in_its_bin(before: Counter[int], after: Counter[int]) -> None:
    found = histogram(before, after)
    assert len(found.before) == len(found.after) <= 24
    for counted, given_ in ((found.before, before), (found.after, after)):
        assert sum(counted) == given_.total()
        for number, texts in enumerate(counted[:-1]):
            inside = range(number * found.width, (number + 1) * found.width)
            assert texts == sum(given_[length] for length in inside)


def test_one_long_text_does_not_widen_the_bins() -> None:
    found = histogram(Counter(dict.fromkeys(range(24), 100) | {10_000: 1}), Counter({3: 2401}))
    assert (found.width, found.before) == (1, [100] * 23 + [101])
