"""Words that two tokenizers share, against an alignment made character by character."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.matrix_tokenizers import FAMILIES, domain_texts, tokenizer_pair
from worker.compression.recovery.objectives.encoding import Ints
from worker.compression.recovery.objectives.word_alignment import NO_WORD, align_words
from worker.compression.tokenizers.tokenizer_json import unbounded

LETTERS = "abc ,.é1\n中"


def aligned(family: str, text: str) -> tuple[Any, Any, Ints, Ints, int]:
    base, domain = (unbounded(tokenizer).encode(text) for tokenizer in tokenizer_pair(family))
    return base, domain, *one(text, base, domain)


def one(text: str, base: Any, domain: Any) -> tuple[Ints, Ints, int]:
    [words] = align_words([text], [base], [domain])
    return words.base, words.domain, words.word_count


def characters(encoding: Any, words: Ints, word: int) -> set[int]:
    spans = [encoding.offsets[i] for i in np.flatnonzero(words == word)]
    return {i for start, end in spans for i in range(start, end)}


def check(text: str, base: Any, domain: Any, base_words: Ints, words: Ints, count: int) -> None:
    """Words are numbered in order, both sides have each, and they stand for the same."""
    assert len(base_words) == len(base.ids)
    assert len(words) == len(domain.ids)
    for encoding, found in ((base, base_words), (domain, words)):
        assert set(found.tolist()) - {NO_WORD} == set(range(count))
        real = found[found != NO_WORD]
        assert (np.diff(real) >= 0).all()
        for special, (start, end), word in zip(
            encoding.special_tokens_mask, encoding.offsets, found, strict=True
        ):
            if special or start == end:
                assert word == NO_WORD
    for word in range(count):
        here = {c for c in characters(base, base_words, word) if not text[c].isspace()}
        there = {c for c in characters(domain, words, word) if not text[c].isspace()}
        assert here == there, (text, word)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60)
@given(text=st.text(st.sampled_from(LETTERS), max_size=30) | st.sampled_from(domain_texts()))
def test_both_sides_of_a_word_are_the_same_characters(family: str, text: str) -> None:
    check(text, *aligned(family, text))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40)
@given(texts=st.lists(st.text(st.sampled_from(LETTERS), max_size=20), max_size=6))
def test_texts_are_aligned_together_as_each_alone(family: str, texts: list[str]) -> None:
    backends = [unbounded(tokenizer) for tokenizer in tokenizer_pair(family)]
    bases, domains = (backend.encode_batch(texts) for backend in backends)
    for found, text, base, domain in zip(
        align_words(texts, bases, domains), texts, bases, domains, strict=True
    ):
        alone = one(text, base, domain)
        assert found.base.tolist() == alone[0].tolist()
        assert (found.domain.tolist(), found.word_count) == (alone[1].tolist(), alone[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_ordinary_text_has_a_word_a_word(family: str) -> None:
    text = domain_texts()[0]
    *_, count = aligned(family, text)
    assert count >= len(text.split())


class Encoded:
    """An encoding made by hand."""

    def __init__(
        self, offsets: list[tuple[int, int]], words: list[int | None], cut: bool = False
    ) -> None:
        self.offsets, self.word_ids = offsets, words
        self.ids = list(range(len(offsets)))
        self.special_tokens_mask = [int(word is None) for word in words]
        self.overflowing = [self] if cut else []


TEXT = "aa bb cc dd"
BASE = Encoded(
    [(0, 0), (0, 1), (1, 2), (3, 5), (6, 8), (9, 11), (0, 0)], [None, 0, 0, 1, 2, 3, None]
)


def test_a_token_of_several_words_makes_one_of_them() -> None:
    domain: Any = Encoded([(0, 2), (3, 8), (9, 11)], [0, 1, 2])
    base: Any = BASE
    base_words, words, count = one(TEXT, base, domain)
    assert base_words.tolist() == [-1, 0, 0, 1, 1, 2, -1]
    assert (words.tolist(), count) == ([0, 1, 2], 3)


def test_what_one_side_lacks_or_has_in_part_is_left_out() -> None:
    domain: Any = Encoded([(0, 2), (3, 5), (6, 7)], [0, 1, 2], cut=True)
    base: Any = BASE
    base_words, words, count = one(TEXT, base, domain)
    assert base_words.tolist() == [-1, 0, 0, 1, -1, -1, -1]
    assert (words.tolist(), count) == ([0, 1, -1], 2)


def test_a_text_that_is_one_word_to_the_tokenizer_is_split_at_spaces() -> None:
    base: Any = Encoded([(0, 2), (2, 5), (5, 8), (8, 11)], [0, 0, 0, 0])
    domain: Any = Encoded([(0, 2), (2, 8), (8, 11)], [0, 0, 0])
    base_words, words, count = one(TEXT, base, domain)
    assert (base_words.tolist(), words.tolist(), count) == ([0, 1, 1, 2], [0, 1, 2], 3)


def test_an_empty_text_has_no_word() -> None:
    nothing: Any = Encoded([], [])
    assert one("", nothing, nothing)[2] == 0
