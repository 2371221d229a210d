"""Queries made of documents: short, of nothing else, the same each time, in any script."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.compression.recovery import pseudo_queries as module
from worker.compression.recovery.pseudo_queries import pseudo_queries, words_of

# Letters with and without spaces between words, marks, headings, punctuation, lone surrogates.
CHARACTERS = st.sampled_from([*"abcZ9 .?!#=-\n\té患者の。โรคकि", "\u0301", "\ud800"])
DOCUMENTS = st.lists(st.text(CHARACTERS, max_size=200), max_size=8)
# A busy machine draws slowly.
UNHURRIED = settings(max_examples=40)


@UNHURRIED
@given(DOCUMENTS, st.integers(0, 2**32 - 1))
def test_none_is_blank_or_there_twice_and_a_seed_gives_the_same(
    documents: list[str], seed: int
) -> None:
    made = pseudo_queries(documents, seed)
    assert made == pseudo_queries(documents, seed)
    assert all(query.strip() for query in made)
    assert len({*made}) == len(made)
    assert bool(made) == any(text.strip() for text in documents)
    assert not any("\n" in query for query in made)


@UNHURRIED
@given(DOCUMENTS, DOCUMENTS, st.integers(0, 9))
def test_they_are_of_the_documents_that_were_given_and_of_no_others(
    training: list[str], held_out: list[str], seed: int
) -> None:
    # Nothing else is there to be seen: what is not given cannot be in them.
    letters = Counter("".join(training))
    made = pseudo_queries(training, seed)
    assert {*"".join(made)} <= {*letters, *" ?\uff1f\u061f"}
    assert made == pseudo_queries([*training], seed)
    # More documents may change which words are rare, and add none of theirs to these.
    words = {word for text in held_out for word in words_of(text)} - {
        word for text in training for word in words_of(text)
    }
    assert not words & {word for query in made for word in query.split()} or any(
        word in text for word in words for text in training
    )


def test_titles_sentences_questions_and_rare_words() -> None:
    common = [f"The pump of house {n} is in the cellar of the house." for n in range(30)]
    text = (
        "# Frozen pumps\n\nThe valve of the pump is thawed with warm water. "
        "Is the bearing of the impeller worn? The pump is in the cellar."
    )
    made = pseudo_queries([*common, text], 0)[-6:]
    assert made[0] == "Frozen pumps"
    assert made[1] == "Frozen pumps?"
    assert made[2] == "The valve of the pump is thawed with warm water."
    assert made[3] == "Is the bearing of the impeller worn?"
    rare = {"Frozen", "pumps", "valve", "thawed", "with", "warm", "water", "Is", "bearing"}
    rare |= {"impeller", "worn"}
    for keywords in made[4:]:
        assert 2 <= len(keywords.split()) <= 5
        assert {*keywords.split()} <= rare


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("Pumps\n=====\nThey move water.", "Pumps"),
        ("Pumps\nThey move water.", "Pumps"),
        ("### Pumps ###\nThey move water.", "Pumps"),
    ],
)
def test_headings_are_found_as_people_write_them(text: str, heading: str) -> None:
    made = pseudo_queries([text], 0)
    assert made[:3] == [heading, f"{heading}?", "They move water."]


@pytest.mark.parametrize("text", ["They move\nwater all day.", "Pumps move water."])
def test_a_whole_sentence_is_no_heading(text: str) -> None:
    assert "Pumps move water.?" not in pseudo_queries([text], 0)
    assert not any(query.endswith(".?") for query in pseudo_queries([text], 0))


def test_scripts_without_spaces_give_parts_of_a_text() -> None:
    text = "# 糖尿病の治療\n患者は血糖値が高い。食事療法を行い、毎日の記録をつける。" * 3
    made = pseudo_queries([text], 0)
    assert "糖尿病の治療" in made
    assert "糖尿病の治療\uff1f" in made
    assert max(map(len, made)) <= 100
    assert all(len(query) > 1 for query in made)
    assert [*words_of("糖尿病、abc")] == ["糖尿", "尿病", "abc"]
    # A vowel sign stays with its letter, here and where words have spaces.
    assert [*words_of("ที่นี่")] == ["ที่นี่"]
    assert [*words_of("«मधुमेह», कि।")] == ["मधुमेह", "कि"]


def test_long_texts_are_cut_and_many_documents_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    made = pseudo_queries(["word " * 500, "字" * 5000], 0)
    assert max(len(query.split()) for query in made) <= 24
    assert max(map(len, made)) <= 24 * 5
    monkeypatch.setattr(module, "MOST_DOCUMENTS", 10)
    documents = [f"document{n}" for n in range(100)]
    one, other = pseudo_queries(documents, 1), pseudo_queries(documents, 2)
    assert len(one) == len(other) == 10
    assert {*one} != {*other}


def test_a_document_of_signs_alone_is_its_own_query() -> None:
    assert pseudo_queries(["...", " ", "--- ***"], 0) == ["...", "--- ***"]
