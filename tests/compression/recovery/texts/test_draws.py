"""What is drawn from a corpus: all of it, in parts, the same each time."""

from collections import Counter

from worker.compression.progress import silent
from worker.compression.recovery.data import CHARACTERS_PER_TOKEN, TextSampler, sample_documents

TEXTS = [f"Sentence {n} is short. Another {n} follows it, longer than that." for n in range(500)]


def test_a_large_corpus_is_sampled_by_content() -> None:
    size = sum(map(len, TEXTS))
    found = sample_documents(lambda: TEXTS, 0, silent, max_characters=size // 3)
    kept = {*found.training, *found.held_out}
    assert size / 12 < sum(map(len, kept)) <= size / 3
    backwards = sample_documents(lambda: TEXTS[::-1], 0, silent, max_characters=size // 3)
    assert {*backwards.training, *backwards.held_out} == kept
    assert kept != {*sample_documents(lambda: TEXTS, 1, silent, max_characters=size // 3).training}


def test_what_says_when_to_stop_is_not_trained_on() -> None:
    found = sample_documents(lambda: [*TEXTS, *TEXTS, " "], 0, silent)
    assert sorted(found.training + found.held_out) == sorted(TEXTS)
    assert 2 <= len(found.held_out) < 40


def test_a_pass_draws_every_document_once() -> None:
    sampler = TextSampler(TEXTS, 0, 128, parts=False)
    assert Counter(sampler.texts(0, 1000)) == dict.fromkeys(TEXTS, 2)
    assert sampler.texts(700, 20) == sampler.texts(690, 30)[10:]
    assert sampler.texts(0, 500) != sampler.texts(500, 500)


def test_parts_are_sentences_and_windows_of_3_to_20_words() -> None:
    drawn = TextSampler(TEXTS, 0, 128, parts=True).texts(0, 500)
    assert all(any(part in text for text in TEXTS) for part in drawn)
    lengths = Counter(len(part.split()) for part in drawn)
    assert min(lengths) == 3
    assert sum(part.startswith("Another") and part.endswith("that.") for part in drawn) > 50
    assert sum(part in TEXTS for part in drawn) > 100


def test_a_long_document_gives_another_part_each_time() -> None:
    long = " ".join(f"word{n}" for n in range(2000))
    drawn = TextSampler([long], 0, 20, parts=False).texts(0, 5)
    assert len(set(drawn)) == 5
    words = set(long.split())
    for part in drawn:
        assert len(part) <= 20 * CHARACTERS_PER_TOKEN
        assert part.split()[0] in words
