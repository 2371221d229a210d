"""The embedding of a multi-word token: the mean over the base's pieces of each of its words."""

from typing import Any

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import MakeModel
from worker.compression import Partition, train_tokenizers, transfer_vocabulary
from worker.compression.transfer.partition import partition_vocabulary

SIZE = 150


def wide(uncased: PreTrainedTokenizerBase, documents: list[str]) -> PreTrainedTokenizerBase:
    (tokenizer,) = train_tokenizers(uncased, lambda: documents, [SIZE], multiword=6)
    return tokenizer


def groups(
    base: PreTrainedTokenizerBase, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Partition]:
    found = partition_vocabulary(base, tokenizer)
    return {partition.token: partition for partition in found if " " in partition.token}


def test_each_word_is_partitioned_as_the_base_reads_it(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    found = groups(uncased, wide(uncased, documents))
    assert len(found) == 6
    for token, partition in found.items():
        assert (partition.source, partition.unk_pieces) == ("averaged", 0)
        assert list(partition.pieces) == uncased.tokenize(token)


def test_the_embedding_is_the_mean_of_the_pieces(
    uncased: PreTrainedTokenizerBase, documents: list[str], tiny_model: MakeModel
) -> None:
    model, tokenizer = tiny_model(), wide(uncased, documents)
    table = model.get_input_embeddings().weight
    student: Any = transfer_vocabulary(model, uncased, tokenizer).model
    for token, partition in groups(uncased, tokenizer).items():
        row = student.get_input_embeddings().weight[tokenizer.get_vocab()[token]]
        expected = table[uncased(token, add_special_tokens=False)["input_ids"]].mean(dim=0)
        assert torch.allclose(row, expected, atol=1e-6), partition.token


def test_a_model_with_them_can_be_compressed_again(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    base = wide(uncased, documents)
    (again,) = train_tokenizers(base, lambda: documents, [140], multiword=3)
    assert len(again) == 140
    found = groups(base, again)
    assert len(found) == 3
    assert again.unk_token not in again.tokenize(documents[0])
    assert all(partition.base_ids for partition in found.values())
    (plain,) = train_tokenizers(base, lambda: documents, [140])
    assert not groups(base, plain)
    assert plain.unk_token not in plain.tokenize(documents[0])
