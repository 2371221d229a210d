import string
from typing import Any

import pytest
from tokenizers import Tokenizer, models
from transformers import BertTokenizer, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import SPECIALS
from worker.compression import LoadedModel, Partition, UnsupportedTokenizerError
from worker.compression.transfer.partition import partition_vocabulary

fast: Any = PreTrainedTokenizerFast


def with_tokens(*tokens: str) -> PreTrainedTokenizerBase:
    return BertTokenizer(vocab={t: i for i, t in enumerate([*SPECIALS, *tokens])})


def partition_of(
    base: PreTrainedTokenizerBase, token: str, domain: PreTrainedTokenizerBase | None = None
) -> Partition:
    partitions = partition_vocabulary(base, domain or with_tokens(token))
    return next(partition for partition in partitions if partition.token == token)


def test_a_shared_token_is_copied(uncased: PreTrainedTokenizerBase) -> None:
    partition = partition_of(uncased, "patient")
    assert (partition.source, partition.pieces) == ("copied", ("patient",))
    assert partition.base_ids == (uncased.get_vocab()["patient"],)


def test_a_continuation_is_split_as_one(uncased: PreTrainedTokenizerBase) -> None:
    assert partition_of(uncased, "##ising").pieces == ("##i", "##s", "##ing")
    assert partition_of(uncased, "ising").pieces == ("is", "##ing")


def test_the_real_tokenizer_agrees_with_longest_match_written_out(minilm: LoadedModel) -> None:
    known = minilm.tokenizer.get_vocab()
    for token in ("##ibuprofen", "ibuprofen", "##toxicities", "methotrexate"):
        rest, mark = token.removeprefix("##"), "##" if token.startswith("##") else ""
        pieces: list[str] = []
        while rest:
            width = max(n for n in range(1, len(rest) + 1) if mark + rest[:n] in known)
            pieces.append(mark + rest[:width])
            rest, mark = rest[width:], "##"
        partition = partition_of(minilm.tokenizer, token)
        assert partition.pieces == tuple(pieces)
        assert partition.base_ids == tuple(known[piece] for piece in pieces)


def test_unknown_pieces_are_dropped_and_the_known_characters_stand_in(
    uncased: PreTrainedTokenizerBase,
) -> None:
    partition = partition_of(uncased, "a☃b")
    assert (partition.source, partition.pieces) == ("fallback", ("a", "##b"))
    assert partition.unk_pieces == 1
    assert partition_of(uncased, "##☃b").pieces == ("##b",)


def test_a_token_without_any_known_character_has_no_pieces(
    uncased: PreTrainedTokenizerBase,
) -> None:
    partition = partition_of(uncased, "##☃")
    assert (partition.source, partition.pieces, partition.base_ids) == ("fallback", (), ())


def test_an_added_token_is_split_as_text(uncased: PreTrainedTokenizerBase) -> None:
    domain = with_tokens("a", "<AD>")
    domain.add_tokens(["<AD>"])
    partition = partition_of(uncased, "<AD>", domain)
    assert (partition.source, partition.pieces) == ("averaged", ("<", "ad", ">"))


def test_partitions_are_in_the_order_of_ids(uncased: PreTrainedTokenizerBase) -> None:
    partitions = partition_vocabulary(uncased, with_tokens(*string.ascii_lowercase))
    assert [partition.id for partition in partitions] == list(range(len(SPECIALS) + 26))


def test_another_family_is_refused(uncased: PreTrainedTokenizerBase) -> None:
    other = fast(tokenizer_object=Tokenizer(models.BPE({"a": 0}, [])))
    with pytest.raises(UnsupportedTokenizerError):
        partition_vocabulary(uncased, other)
