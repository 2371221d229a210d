import pytest
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression import (
    CorpusEmptyError,
    LoadedModel,
    add_cut_texts,
    measure_tokens,
    train_tokenizer,
)
from worker.compression.models.reading import longest_input


def test_tokens_are_counted_without_padding_or_truncation(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    domain = train_tokenizer(uncased, lambda: documents, 140)
    texts = [*documents, " ".join(documents)]
    # The tokens by hand: pieces of the text, without [CLS] and [SEP].
    before = sum(len(uncased.tokenize(text)) for text in texts) / len(texts)
    after = sum(len(domain.tokenize(text)) for text in texts) / len(texts)
    for tokenizer in (uncased, domain):
        tokenizer.backend_tokenizer.enable_truncation(16)
        tokenizer.backend_tokenizer.enable_padding(length=16)
    usage = measure_tokens(uncased, domain, iter(texts))
    assert (usage.texts, usage.per_text_before, usage.per_text_after) == (121, before, after)
    assert usage.special_per_text == 2
    assert uncased.backend_tokenizer.truncation is not None


def test_the_unknown_rate_is_a_share_of_the_tokens_of_text(
    uncased: PreTrainedTokenizerBase, cased: PreTrainedTokenizerBase
) -> None:
    usage = measure_tokens(uncased, cased, ["the ☃ is a", "a ☃☃"])
    assert usage.unk_rate_before == usage.unk_rate_after == 2 / 6


def test_without_texts_nothing_is_measured(uncased: PreTrainedTokenizerBase) -> None:
    with pytest.raises(CorpusEmptyError):
        measure_tokens(uncased, uncased, [])


def test_texts_that_are_longer_than_the_model_reads_are_counted(minilm: LoadedModel) -> None:
    texts = ["short"] * 6 + ["the rash " * 200] * 2
    usage = measure_tokens(minilm.tokenizer, minilm.tokenizer, texts)
    found = add_cut_texts(usage, minilm, minilm, texts)
    assert found.longest_input == longest_input(minilm) == 256
    # 254 tokens of text fit beside [CLS] and [SEP].
    fitting = ["rash " * 254, "rash " * 255]
    assert (found.cut_before, found.cut_after) == (0.25, 0.25)
    assert add_cut_texts(usage, minilm, minilm, fitting).cut_before == 0.5
    assert add_cut_texts(usage, minilm, minilm, ["short"]).cut_before == 0.0
