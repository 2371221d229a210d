from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from worker.compression.progress import silent
from worker.compression.tokenizers.wordpiece import (
    ExpectedWord,
    LongestMatch,
    Usage,
    expected_words,
    prune,
    unseen_words,
)

ALPHABET = {"a", "b", "c", "##a", "##b", "##c"}
RAW = st.sampled_from(["", "##"]).flatmap(
    lambda mark: st.text("abc", min_size=2, max_size=4).map(lambda text: mark + text)
)
CANDIDATES = st.sets(RAW, max_size=25)
EXPECTED = st.lists(
    st.builds(
        ExpectedWord, st.text("abc", min_size=2, max_size=9), st.floats(0.5, 9), st.booleans()
    ),
    min_size=1,
    max_size=12,
)


def pieces_of(expected: ExpectedWord, vocabulary: set[str]) -> int:
    """Longest match, written out: take the longest prefix that is a token, again and again."""
    rest, count, mark = expected.word, 0, ""
    while rest:
        fitting = [n for n in range(1, len(rest) + 1) if mark + rest[:n] in vocabulary]
        if not count and not expected.whole:
            fitting = [n for n in fitting if n < len(rest)]
        rest, count, mark = rest[max(fitting) :], count + 1, "##"
    return count


def total(words: Sequence[ExpectedWord], vocabulary: set[str]) -> float:
    return sum(word.frequency * pieces_of(word, vocabulary) for word in words)


@given(EXPECTED, CANDIDATES)
def test_the_cost_of_dropping_a_token_is_the_difference_of_two_counts(
    words: list[ExpectedWord], candidates: set[str]
) -> None:
    vocabulary = ALPHABET | candidates
    usage = Usage(LongestMatch("##"), words, vocabulary, silent)
    for token in candidates:
        difference = total(words, vocabulary - {token}) - total(words, vocabulary)
        assert abs(usage.cost_of_dropping(token) - difference) < 1e-9


@given(EXPECTED, CANDIDATES, st.integers(0, 10))
def test_pruning_keeps_the_alphabet_and_reaches_the_size(
    words: list[ExpectedWord], candidates: set[str], extra: int
) -> None:
    usage = Usage(LongestMatch("##"), words, ALPHABET | candidates, silent)
    size = len(ALPHABET) + min(extra, len(candidates))
    prune(usage, ALPHABET, size, silent, base=set(sorted(candidates)[::2]))
    assert len(usage.vocabulary) == size
    assert usage.vocabulary >= ALPHABET
    assert [len(p) for p in usage.pieces] == [pieces_of(w, usage.vocabulary) for w in words]


def test_the_token_that_saves_fewest_pieces_goes_first() -> None:
    words = [ExpectedWord("abc", 10, True), ExpectedWord("cba", 1, True)]
    usage = Usage(LongestMatch("##"), words, ALPHABET | {"abc", "cba"}, silent)
    prune(usage, ALPHABET, len(ALPHABET) + 1, silent)
    assert usage.vocabulary - ALPHABET == {"abc"}


def test_rare_words_count_as_good_and_turing_expect() -> None:
    words = {"once": 1, "ones": 1, "only": 1, "a": 1, "twice": 2, "pair": 2, "often": 9}
    expected = expected_words(words)
    seen = {word.word: word.frequency for word in expected if word.whole}
    assert seen["once"] == 2 * 2 / 4
    assert seen["twice"] == 2
    assert seen["often"] == 9
    assert [(w.word, w.frequency) for w in expected if not w.whole] == [
        ("once", 1.0),
        ("ones", 1.0),
        ("only", 1.0),
    ]


def test_unseen_words_of_the_base_count_as_good_and_turing_expect() -> None:
    words = {"once": 1, "ones": 1, "only": 1, "twice": 2, "often": 9}
    unseen = [f"common{n}" for n in range(995)]
    base_words = ["once", "ones", "often", "twice", *unseen, "rarer", "rare", "rarest"]
    found = unseen_words(words, base_words)
    # Of the first thousand words two were seen once and 996 never; of the others none.
    assert {word: count for word, count, _ in found} == dict.fromkeys([*unseen, "rarer"], 2 / 996)
    assert [w.word for w in expected_words(words, base_words) if not w.whole] == ["only"]


def test_a_rare_token_that_the_base_does_not_have_goes_first() -> None:
    words = [ExpectedWord("abcabc", 1.5, True), ExpectedWord("cba", 0.1, True)]
    usage = Usage(LongestMatch("##"), words, ALPHABET | {"abcabc", "cba"}, silent)
    prune(usage, ALPHABET, len(ALPHABET) + 1, silent, base={"cba"})
    assert usage.vocabulary - ALPHABET == {"cba"}
    often = [ExpectedWord("abcabc", 2.0, True), words[1]]
    usage = Usage(LongestMatch("##"), often, ALPHABET | {"abcabc", "cba"}, silent)
    prune(usage, ALPHABET, len(ALPHABET) + 1, silent, base={"cba"})
    assert usage.vocabulary - ALPHABET == {"abcabc"}
