import pytest
from tokenizers import Tokenizer, models
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression import CorpusEmptyError
from worker.compression.progress import silent
from worker.compression.tokenizers import words
from worker.compression.tokenizers.tokenizer_json import unbounded
from worker.compression.tokenizers.words import count_words, word_splitter


def test_words_are_those_of_the_base_most_frequent_first(uncased: PreTrainedTokenizerBase) -> None:
    texts = ["Rash, rash; the RASH", "the end"]
    counts = count_words(unbounded(uncased), lambda: texts, silent)
    assert list(counts.items()) == [("rash", 3), ("the", 2), (",", 1), (";", 1), ("end", 1)]


def test_added_tokens_in_a_text_are_no_words(uncased: PreTrainedTokenizerBase) -> None:
    uncased.add_tokens(["<drug>"])
    assert list(word_splitter(unbounded(uncased))("a <drug> b[SEP]c")) == ["a", "b", "c"]


def test_without_a_pre_tokenizer_a_text_is_a_word() -> None:
    assert list(word_splitter(Tokenizer(models.WordPiece({"a": 0})))("a b")) == ["a b"]


def test_a_corpus_without_words_is_refused(uncased: PreTrainedTokenizerBase) -> None:
    with pytest.raises(CorpusEmptyError, match="no words"):
        count_words(unbounded(uncased), lambda: ["", "  "], silent)


def test_the_rarest_words_are_forgotten_where_there_are_too_many(
    uncased: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "MAX_DISTINCT_WORDS", 3)
    texts = ["e e e", "d d", "c c", "b", "a", "f", "g", "e"]
    counts = count_words(unbounded(uncased), lambda: texts, silent)
    assert len(counts) == 3
    assert counts["e"] == 4


def test_counting_can_be_aborted(uncased: PreTrainedTokenizerBase) -> None:
    def abort(fraction: float, message: str) -> None:
        raise InterruptedError(f"{fraction} {message}")

    with pytest.raises(InterruptedError):
        count_words(unbounded(uncased), lambda: ["a"], abort)
