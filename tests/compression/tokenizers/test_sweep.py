import pytest
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression import (
    VocabSizeAboveBaseError,
    VocabSizeBelowFloorError,
    train_tokenizer,
    train_tokenizers,
)
from worker.compression.tokenizers.tokenizer_json import backend_json


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
