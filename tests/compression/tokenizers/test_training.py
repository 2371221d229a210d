from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import domain_documents
from worker.compression import (
    CorpusTooSmallError,
    LoadedModel,
    UnknownKeepTokensError,
    VocabSizeAboveBaseError,
    VocabSizeBelowFloorError,
    load_tokenizer,
    measure_tokens,
    resolve_keep_tokens,
    resolve_vocab_size,
    train_tokenizer,
    train_tokenizers,
)
from worker.compression.tokenizers.tokenizer_json import backend_json

KEPT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZE = 140

anything = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def domain(uncased: PreTrainedTokenizerBase, documents: list[str]) -> PreTrainedTokenizerBase:
    return train_tokenizer(uncased, lambda: documents, SIZE)


def test_the_size_is_exact_and_ids_have_no_gaps(domain: PreTrainedTokenizerBase) -> None:
    assert len(domain) == SIZE
    assert sorted(domain.get_vocab().values()) == list(range(SIZE))


def test_special_tokens_come_first_in_the_base_order(domain: PreTrainedTokenizerBase) -> None:
    assert domain.convert_ids_to_tokens(list(range(5))) == KEPT
    assert domain.pad_token_id == 0


def test_the_alphabet_comes_next_and_other_tokens_by_falling_use(
    domain: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    tokens = domain.convert_ids_to_tokens(list(range(SIZE)))
    alphabet = [token for token in tokens if len(token.removeprefix("##")) == 1]
    assert tokens[5 : 5 + len(alphabet)] == alphabet
    used = [token for text in documents for token in domain.tokenize(text)]
    first, last = tokens[5 + len(alphabet)], tokens[-1]
    assert used.count(first) > used.count(last)


def test_every_character_that_the_base_knows_and_the_corpus_uses_is_kept(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    domain = train_tokenizer(uncased, lambda: documents, SIZE)
    known, kept = uncased.get_vocab(), domain.get_vocab()
    letters = {char for text in documents for char in text.lower() if char.isalnum()}
    assert {form for c in letters for form in (c, f"##{c}") if form in known} <= set(kept)
    assert domain.unk_token not in domain.tokenize("zygote-47 (xylem)! w/ ~q")


def test_characters_that_the_base_does_not_know_stay_unknown(
    uncased: PreTrainedTokenizerBase,
) -> None:
    texts = domain_documents(100) + ["☃ ☃a a☃"] * 50
    domain = train_tokenizer(uncased, lambda: texts, SIZE)
    assert not [token for token in domain.get_vocab() if "☃" in token]


def test_usage_needs_fewer_tokens_than_frequency_on_held_out_text(minilm: LoadedModel) -> None:
    training, held_out = domain_documents(500), domain_documents(100, seed=1)
    base = minilm.tokenizer
    usage = train_tokenizer(base, lambda: training, 150)
    frequency = train_tokenizer(base, lambda: training, 150, selection="frequency")
    ours = measure_tokens(base, usage, held_out).per_text_after
    assert ours < measure_tokens(base, frequency, held_out).per_text_after


@pytest.mark.slow
def test_words_of_the_base_fill_what_chance_words_would(minilm: LoadedModel) -> None:
    words = [w for w in minilm.tokenizer.get_vocab() if w.isascii() and w.isalpha() and len(w) > 4]
    seen, unseen = sorted(words)[::40], set(words) - set(sorted(words)[::40])
    chance = [word[::-1] + "qx" for word in seen]
    texts = [*domain_documents(100), " ".join([*seen, *chance])]
    tokens = set(train_tokenizer(minilm.tokenizer, lambda: texts, 4000).get_vocab())
    assert not tokens & set(chance)
    assert len(tokens & unseen) > 100


def test_fractions_are_of_the_base_vocabulary(uncased: PreTrainedTokenizerBase) -> None:
    assert resolve_vocab_size(1.0, uncased) == len(uncased)
    assert resolve_vocab_size(0.5, uncased) == round(len(uncased) / 2)
    assert resolve_vocab_size(120, uncased) == 120


def test_too_few_tokens_are_refused_with_the_floor(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    with pytest.raises(VocabSizeBelowFloorError, match=r"ask for at least (\d+)") as error:
        train_tokenizer(uncased, lambda: documents, 50)
    floor = int(str(error.value).split()[-1].rstrip("."))
    assert len(train_tokenizer(uncased, lambda: documents, floor)) == floor
    assert error.value.code == "vocab_size_below_floor"


def test_more_tokens_than_the_base_has_are_refused(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    with pytest.raises(VocabSizeAboveBaseError, match=str(len(uncased))):
        train_tokenizer(uncased, lambda: documents, len(uncased) + 1)


def test_a_corpus_too_small_says_the_largest_size(minilm: LoadedModel) -> None:
    texts = ["a small corpus of few words, few tokens"]
    with pytest.raises(CorpusTooSmallError, match=r"ask for at most \d+") as error:
        train_tokenizer(minilm.tokenizer, lambda: texts, 20_000)
    largest = int(str(error.value).split("at most ")[1].split(",")[0])
    assert len(train_tokenizer(minilm.tokenizer, lambda: texts, largest)) == largest


def test_keep_tokens_stay_in_one_piece(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    keep = ["##icity", "Xenobiotic", "<drug>", "IL-2"]
    domain = train_tokenizer(uncased, lambda: documents, SIZE, keep_tokens=keep)
    assert len(domain) == SIZE
    assert "##icity" in domain.get_vocab()
    ids = domain("a xenobiotic <drug> il-2", add_special_tokens=False)["input_ids"]
    assert ids == [domain.get_vocab()[t] for t in ("a", "xenobiotic", "<drug>", "IL-2")]


def test_added_tokens_that_are_not_special_are_kept(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    uncased.add_tokens(["<dose>"])
    domain = train_tokenizer(uncased, lambda: documents, SIZE)
    assert domain.tokenize("a <dose>") == ["a", "<dose>"]
    assert "<dose>" not in domain.all_special_tokens


def test_everything_else_is_carried_over(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    uncased.chat_template = "{{ messages }}"
    uncased.padding_side = uncased.truncation_side = "left"
    uncased.backend_tokenizer.enable_padding(length=32, pad_id=0, pad_token="[PAD]")
    uncased.backend_tokenizer.enable_truncation(32)
    domain = train_tokenizer(uncased, lambda: documents, SIZE)
    before, after = backend_json(uncased), backend_json(domain)
    for part in ("normalizer", "pre_tokenizer", "decoder", "truncation", "padding"):
        assert after[part] == before[part]
    assert domain.model_max_length == 64
    assert (domain.padding_side, domain.truncation_side) == ("left", "left")
    assert domain.chat_template == "{{ messages }}"
    assert type(domain) is type(uncased)


def test_a_saved_tokenizer_loads_as_the_same(
    domain: PreTrainedTokenizerBase, documents: list[str], tmp_path: Path
) -> None:
    domain.save_pretrained(tmp_path)
    for loaded in (AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(tmp_path)):
        assert loaded(documents)["input_ids"] == domain(documents)["input_ids"]
        assert backend_json(loaded) == backend_json(domain)


@anything
@given(text=st.text())
def test_no_id_is_out_of_range(domain: PreTrainedTokenizerBase, text: str) -> None:
    assert all(0 <= i < SIZE for i in domain(text, text)["input_ids"])


@anything
@given(
    text=st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzABC 0123456789.,;-'()"), max_size=60)
)
def test_decoding_gives_what_the_base_gives(
    uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase, text: str
) -> None:
    before = uncased.decode(uncased(text)["input_ids"], skip_special_tokens=True)
    after = domain.decode(domain(text)["input_ids"], skip_special_tokens=True)
    assert uncased.unk_token not in uncased.tokenize(text)
    assert after == before


def test_case_is_kept_where_the_base_keeps_it(
    cased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    domain = train_tokenizer(cased, lambda: documents, 190)
    assert domain.tokenize("The") == ["The"]
    assert domain.decode(domain("Rash in Mice")["input_ids"], skip_special_tokens=True) == (
        "Rash in Mice"
    )


def test_training_can_be_aborted_in_every_phase(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    seen: list[float] = []
    train_tokenizer(uncased, lambda: documents, SIZE, progress=lambda f, _: seen.append(f))
    assert seen == sorted(seen)
    assert seen[0] == 0
    for limit in seen:

        def abort(fraction: float, message: str, limit: float = limit) -> None:
            if fraction >= limit:
                raise InterruptedError(message)

        with pytest.raises(InterruptedError):
            train_tokenizer(uncased, lambda: documents, SIZE, progress=abort)


def test_each_size_is_what_it_is_alone_from_one_reading(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    readings: list[int] = []

    def texts() -> list[str]:
        readings.append(1)
        return documents

    sizes = [140, 130, 150]
    found = train_tokenizers(uncased, texts, sizes, keep_tokens=["##ing"])
    assert len(readings) == 1
    for size, tokenizer in zip(sizes, found, strict=True):
        alone = train_tokenizer(uncased, lambda: documents, size, keep_tokens=["##ing"])
        assert backend_json(tokenizer) == backend_json(alone)


def test_multiword_tokens_take_their_places_from_the_others(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    found = train_tokenizers(uncased, lambda: documents, [140, 150], multiword=5)
    assert [len(tokenizer) for tokenizer in found] == [140, 150]
    for tokenizer in found:
        tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        assert [" " in token for token in tokens[-6:]] == [False] + [True] * 5
        plain = train_tokenizer(uncased, lambda: documents, len(tokenizer) - 5)
        assert tokens[:-5] == plain.convert_ids_to_tokens(list(range(len(plain))))


def test_sizes_that_cannot_be(uncased: PreTrainedTokenizerBase, documents: list[str]) -> None:
    with pytest.raises(VocabSizeAboveBaseError):
        train_tokenizers(uncased, lambda: documents, [140, len(uncased) + 1], multiword=5)
    with pytest.raises(VocabSizeBelowFloorError, match="no room"):
        train_tokenizers(uncased, lambda: documents, [140, 5], multiword=5)


def test_progress_goes_forward_only(uncased: PreTrainedTokenizerBase, documents: list[str]) -> None:
    seen: list[float] = []
    train_tokenizers(
        uncased, lambda: documents, [140, 150], multiword=5, progress=lambda f, _: seen.append(f)
    )
    assert seen == sorted(seen)
    assert 0 <= seen[0] < seen[-1] <= 1


def test_tokens_are_meant_as_they_are_or_as_text(uncased: PreTrainedTokenizerBase) -> None:
    wanted = ["##icity", "Patient", "[unused2]", "patient", "[UNK]"]
    assert resolve_keep_tokens(uncased, wanted) == ["##icity", "patient", "[unused2]", "[UNK]"]
    assert resolve_keep_tokens(uncased, []) == []


def test_they_are_kept_whatever_the_corpus_says(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    kept = resolve_keep_tokens(uncased, ["##icity", "[unused7]"])
    domain = train_tokenizer(uncased, lambda: documents, 140, keep_tokens=kept)
    assert {"##icity", "[unused7]"} <= set(domain.get_vocab())
    assert "[unused8]" not in domain.get_vocab()


def test_all_others_are_named_with_their_pieces(uncased: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UnknownKeepTokensError) as error:
        resolve_keep_tokens(uncased, ["patient", "patients", "☃", "is in"])
    assert error.value.code == "unknown_keep_tokens"
    for part in ("'patients' (patient ##s)", "'☃' ([UNK])", "'is in' (is in)"):
        assert part in str(error.value)
    assert "'patient'" not in str(error.value)


def test_a_long_list_is_cut(uncased: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UnknownKeepTokensError, match="and 40 more"):
        resolve_keep_tokens(uncased, [f"q{number:02}" for number in range(50)])
