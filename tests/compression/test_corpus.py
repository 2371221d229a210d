from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from worker.compression import held_out_texts, is_held_out, training_texts

TEXTS = [f"document number {n}" for n in range(4000)]


@given(st.text(), st.integers(0, 3))
def test_a_document_has_one_side_whatever_its_white_space(text: str, seed: int) -> None:
    side = is_held_out(text, 0.3, seed)
    assert side == is_held_out(f"  {text}\n", 0.3, seed)
    assert side == is_held_out(text.replace(" ", "  "), 0.3, seed)


def test_the_share_held_out_is_the_fraction() -> None:
    share = len(held_out_texts(lambda: TEXTS, 0.05, 0)) / len(TEXTS)
    assert 0.04 < share < 0.06


def test_the_parts_make_up_the_corpus_and_share_nothing() -> None:
    training = set(training_texts(lambda: TEXTS, 0.2, 1)())
    held_out = set(held_out_texts(lambda: TEXTS, 0.2, 1))
    assert training | held_out == set(TEXTS)
    assert not training & held_out


def test_another_seed_splits_anew() -> None:
    assert held_out_texts(lambda: TEXTS, 0.2, 1) != held_out_texts(lambda: TEXTS, 0.2, 2)


def test_growing_a_fraction_or_corpus_moves_no_document_back() -> None:
    small, large = held_out_texts(lambda: TEXTS, 0.1, 0), held_out_texts(lambda: TEXTS, 0.2, 0)
    assert set(small) < set(large)
    assert held_out_texts(lambda: ["new", *TEXTS], 0.1, 0)[-len(small) :] == small


def test_repeated_documents_are_held_out_once_and_up_to_a_limit() -> None:
    once = held_out_texts(lambda: TEXTS, 0.1, 0)
    assert held_out_texts(lambda: TEXTS * 3, 0.1, 0) == once
    assert held_out_texts(lambda: TEXTS, 0.1, 0, limit=7) == once[:7]


def test_the_stream_starts_anew_for_every_pass() -> None:
    passes = 0

    def texts() -> Iterator[str]:
        nonlocal passes
        passes += 1
        yield from TEXTS[:10]

    training = training_texts(texts, 0.5, 0)
    assert list(training()) == list(training())
    assert passes == 2
