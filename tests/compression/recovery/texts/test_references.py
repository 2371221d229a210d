"""Documents that texts are compared with: always the same, of the corpus."""

from worker.compression.recovery.objectives.similarity import choose_references

DOCUMENTS = [f"document {number}" for number in range(5_000)]


def test_a_seed_always_gives_the_same() -> None:
    first, again, other = (choose_references(DOCUMENTS, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(set(first)) == 4_096
    assert {*first} <= {*DOCUMENTS}


def test_a_small_corpus_has_all_of_them() -> None:
    assert sorted(choose_references(DOCUMENTS[:7], 0)) == DOCUMENTS[:7]


def test_one_document_is_like_nothing_else() -> None:
    assert choose_references(DOCUMENTS[:1], 0) == []
