"""General texts beside a corpus: as many as the share says, the same each time, never held out."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.compression.progress import silent
from worker.compression.recovery.data import TextSampler, sample_general

DOCUMENTS = [f"Document {n} of the domain." for n in range(50)]
GENERAL = [f"Passage {n} of no domain." for n in range(7)]


def sampler(share: float, seed: int = 0) -> TextSampler:
    return TextSampler(DOCUMENTS, seed, 64, parts=False, general=GENERAL, general_share=share)


@given(st.floats(0, 0.9), st.integers(0, 3_000), st.integers(0, 400), st.integers(0, 9))
def test_any_run_of_texts_has_the_share_of_general_ones(
    share: float, start: int, count: int, seed: int
) -> None:
    drawn = sampler(share, seed).texts(start, count)
    general = sum(text in GENERAL for text in drawn)
    assert abs(general - share * count) <= 1
    assert len(drawn) == count
    assert {*drawn} <= {*DOCUMENTS, *GENERAL}


def test_both_are_drawn_in_passes() -> None:
    drawn = sampler(0.25).texts(0, 4 * 70)
    general = [text for text in drawn if text in GENERAL]
    assert Counter(general) == dict.fromkeys(GENERAL, 10)
    documents = [text for text in drawn if text in DOCUMENTS]
    assert Counter(documents[:200]) == dict.fromkeys(DOCUMENTS, 4)


@given(st.floats(0, 0.9), st.integers(0, 500), st.integers(0, 50))
def test_a_text_depends_on_its_number_alone(share: float, start: int, count: int) -> None:
    whole = sampler(share).texts(0, 600)
    assert sampler(share).texts(start, count) == whole[start : start + count]


def test_without_general_text_the_corpus_is_drawn_as_ever() -> None:
    alone = TextSampler(DOCUMENTS, 3, 64, parts=True)
    for general, share in ((GENERAL, 0.0), ([], 0.5)):
        other = TextSampler(DOCUMENTS, 3, 64, parts=True, general=general, general_share=share)
        assert other.texts(0, 300) == alone.texts(0, 300)


def test_a_seed_gives_another_order() -> None:
    assert sampler(0.5, 1).texts(0, 30) == sampler(0.5, 1).texts(0, 30)
    assert sampler(0.5, 1).texts(0, 30) != sampler(0.5, 2).texts(0, 30)


def test_the_texts_of_the_held_out_loss_are_left_out() -> None:
    found = sample_general(lambda: [*GENERAL, *GENERAL, " "], 0, silent, held_out=GENERAL[:2])
    assert found == GENERAL[2:]


@pytest.mark.parametrize("texts", [[], ["", " \n"]])
def test_there_may_be_none(texts: list[str]) -> None:
    assert sample_general(lambda: texts, 0, silent) == []
