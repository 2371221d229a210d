"""Multi-word tokens: exact on any text, and what they save."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer, BertConfig
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import domain_documents
from worker.compression import MultiwordUnsupportedError, TooFewWordGroupsError, load_tokenizer
from worker.compression.tokenizers.multiword import (
    add_multiword,
    check_multiword,
    multiword_tokens,
    ngram_pre_tokenizer,
    read_word_runs,
    without_multiword,
)
from worker.compression.tokenizers.tokenizer_json import backend_json, backend_of

COUNT = 8
PHRASE = ["the patient", "patient developed", "we do not", "rash and nausea after"]
anything = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
BITS = st.sampled_from(
    [*"ab \t\n.,-'_°²→“\u00a0\u2028\u200d中é", "the", "The", "patient", "developed", "do", "not"]
)
TEXTS = st.one_of(st.text(), st.lists(BITS).map("".join), st.lists(BITS).map(" ".join))


@pytest.fixture
def wide(uncased: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    return widened(uncased, domain_documents(120) + ["we do not know"] * 200)


def widened(
    plain: PreTrainedTokenizerBase, texts: list[str], count: int = COUNT
) -> PreTrainedTokenizerBase:
    return add_multiword(plain, read_word_runs(plain, lambda: texts), count)


@anything
@given(text=TEXTS)
def test_any_text_decodes_to_what_it_does_without_them(
    uncased: PreTrainedTokenizerBase, wide: PreTrainedTokenizerBase, text: str
) -> None:
    for skip in (False, True):
        before = uncased.decode(uncased(text)["input_ids"], skip_special_tokens=skip)
        after = wide.decode(wide(text)["input_ids"], skip_special_tokens=skip)
        assert after == before
    assert len(wide(text)["input_ids"]) <= len(uncased(text)["input_ids"])


@anything
@given(text=TEXTS)
def test_words_are_those_of_the_plain_pre_tokenizer_or_whole_groups_of_them(text: str) -> None:
    plain = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text)
    split = ngram_pre_tokenizer(PHRASE).pre_tokenize_str(text)
    starts = {start for _, (start, _) in plain}
    ends = {end for _, (_, end) in plain}
    assert {word for word, _ in split} - {word for word, _ in plain} <= set(PHRASE)
    assert all(start in starts and end in ends for _, (start, end) in split)
    assert "".join(w for w, _ in split).replace(" ", "") == "".join(w for w, _ in plain)


def test_a_group_of_words_is_one_token_in_any_case(wide: PreTrainedTokenizerBase) -> None:
    assert wide.tokenize("The patient developed rash.")[0] == "the patient developed"
    (first, *_) = wide("THE PATIENT developed it", return_offsets_mapping=True)["offset_mapping"][
        1:
    ]
    assert tuple(first) == (0, len("THE PATIENT developed"))


@pytest.mark.parametrize(
    "text",
    [
        "the patients developed",
        "bathe patient developed",
        "the patient-developed",
        "the patient. developed",
        "the patient, developed",
        "the\npatient\r\ndeveloped",
        "the  patient  developed",
        "°the patient developed°",
        "the_patient developed²",
    ],
)
def test_nothing_matches_inside_a_word_or_across_a_line_or_punctuation(
    uncased: PreTrainedTokenizerBase, wide: PreTrainedTokenizerBase, text: str
) -> None:
    assert wide.tokenize(text) == uncased.tokenize(text)


def test_the_longest_group_wins_and_a_shorter_one_stands_in(
    uncased: PreTrainedTokenizerBase,
) -> None:
    wide = widened(uncased, ["a rash in mice"] * 9 + ["a rash"] * 30, 2)
    assert set(multiword_tokens(wide)) == {"a rash in mice", "a rash"}
    assert wide.tokenize("a rash in mice a rash in mices")[:2] == ["a rash in mice", "a rash"]


def test_a_saved_tokenizer_loads_with_no_code_of_ours(
    wide: PreTrainedTokenizerBase, documents: list[str], tmp_path: Path
) -> None:
    wide.save_pretrained(tmp_path)
    BertConfig().save_pretrained(tmp_path)
    for loaded in (AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(tmp_path)):
        assert backend_json(loaded) == backend_json(wide)
        assert dict(loaded(documents)) == dict(wide(documents))
        assert loaded.get_vocab() == wide.get_vocab()


def test_the_tokenizer_is_otherwise_the_same(
    uncased: PreTrainedTokenizerBase, wide: PreTrainedTokenizerBase
) -> None:
    assert len(wide) == len(uncased) + COUNT
    assert wide.convert_ids_to_tokens(list(range(len(uncased)))) == (
        uncased.convert_ids_to_tokens(list(range(len(uncased))))
    )
    for name in ("model_max_length", "model_input_names", "padding_side", "all_special_tokens"):
        assert getattr(wide, name) == getattr(uncased, name)
    for part in ("decoder", "post_processor", "added_tokens", "truncation", "padding"):
        assert backend_json(wide)[part] == backend_json(uncased)[part]


def test_the_inputs_are_those_that_the_model_takes(uncased: PreTrainedTokenizerBase) -> None:
    uncased.model_input_names = ["input_ids", "attention_mask"]
    wide = widened(uncased, ["a rash in mice"] * 9, 1)
    assert set(wide("a rash")) == {"input_ids", "attention_mask"}


def test_taking_them_away_gives_the_plain_tokenizer(
    uncased: PreTrainedTokenizerBase, wide: PreTrainedTokenizerBase
) -> None:
    assert backend_json(without_multiword(wide)) == backend_json(uncased)
    assert without_multiword(uncased) is uncased
    check_multiword(wide)


def test_what_a_decoder_would_rewrite_is_no_token(wide: PreTrainedTokenizerBase) -> None:
    assert "we do not know" not in multiword_tokens(wide)
    assert not [token for token in multiword_tokens(wide) if "do not" in token]
    assert wide.decode(wide("We do not know", add_special_tokens=False)["input_ids"]) == (
        "we do not know"
    )


def test_words_with_unknown_characters_are_left_alone(uncased: PreTrainedTokenizerBase) -> None:
    wide = widened(uncased, ["a ☃ rash in mice", "☃☃ ☃ a rash"] * 50, 2)
    assert set(multiword_tokens(wide)) == {"a rash", "rash in mice"}


def test_words_longer_than_the_model_reads_are_left_alone(
    uncased: PreTrainedTokenizerBase,
) -> None:
    long = "x" * 60
    wide = widened(uncased, [f"{long} {long} a rash"] * 50, 1)
    assert wide.unk_token not in wide.tokenize(f"{long} {long} a rash")


def test_added_tokens_are_not_part_of_a_group(uncased: PreTrainedTokenizerBase) -> None:
    uncased.add_tokens(["is rash"])
    wide = widened(uncased, ["this is rash in mice"] * 50, 1)
    assert list(multiword_tokens(wide)) == ["in mice"]
    assert wide.tokenize("is rash in mice") == ["is rash", "in mice"]


def test_more_than_the_corpus_holds_are_refused_with_how_many(
    uncased: PreTrainedTokenizerBase,
) -> None:
    texts = ["a rash in mice. a rash", "rash in mice"]
    with pytest.raises(TooFewWordGroupsError, match="at most 2 multi-word tokens"):
        widened(uncased, texts, 3)
    assert len(multiword_tokens(widened(uncased, texts, 2))) == 2


def test_other_tokenizers_are_refused_by_name(uncased: PreTrainedTokenizerBase) -> None:
    backend_of(uncased).pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(MultiwordUnsupportedError, match="Whitespace") as error:
        check_multiword(uncased)
    assert error.value.code == "multiword_unsupported"


def test_case_is_kept_where_the_base_keeps_it(cased: PreTrainedTokenizerBase) -> None:
    wide = widened(cased, ["The patient slept"] * 50, 1)
    assert wide.tokenize("The patient slept") == ["The patient slept"]
    assert "The patient slept" not in wide.tokenize("the patient slept")


def test_it_is_the_same_every_time(uncased: PreTrainedTokenizerBase) -> None:
    texts = domain_documents(80)
    assert backend_json(widened(uncased, texts)) == backend_json(widened(uncased, texts))
