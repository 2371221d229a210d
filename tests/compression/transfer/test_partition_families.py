"""Partitions of every family against segmentations worked out from the definitions."""

from functools import cache

import pytest
from tokenizers import AddedToken
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.compression.tokenizers.bases import BASES, domain_texts
from tests.support.matrix_tokenizers import split_by_hand
from worker.compression import Partition, train_tokenizer
from worker.compression.tokenizers.families import family_of
from worker.compression.transfer.partition import partition_vocabulary

BY_HAND = [name for name in BASES if name != "clip"]


@cache
def domain_of(name: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    base = BASES[name]()
    keep = ["<dr ug>", "☃☃", "a☃b"]
    return base, train_tokenizer(base, domain_texts, len(base) - 80, keep_tokens=keep)


@cache
def partitions_of(name: str) -> dict[str, Partition]:
    return {partition.token: partition for partition in partition_vocabulary(*domain_of(name))}


@pytest.mark.parametrize("name", BY_HAND)
def test_partitions_are_those_of_the_definitions(name: str) -> None:
    base, domain = domain_of(name)
    known, added = base.get_vocab(), domain.get_added_vocab()
    averaged = 0
    for token, partition in partitions_of(name).items():
        if token in known:
            assert (partition.source, partition.base_ids) == ("copied", (known[token],))
        elif token not in added and "☃" not in token:
            assert list(partition.pieces) == split_by_hand(base, token)
            assert [known[piece] for piece in partition.pieces] == list(partition.base_ids)
            averaged += partition.source == "averaged"
    assert averaged > 20


@pytest.mark.parametrize("name", BASES)
def test_pieces_spell_the_token(name: str) -> None:
    _, domain = domain_of(name)
    added = domain.get_added_vocab()
    for token, partition in partitions_of(name).items():
        if token not in added and "☃" not in token:
            assert "".join(partition.pieces) == token


def test_the_end_of_a_word_is_split_as_one() -> None:
    known = partitions_of("clip").values()
    ends = [p for p in known if p.source == "averaged" and p.token.endswith("</w>")]
    assert ends
    for partition in ends:
        assert partition.pieces[-1].endswith("</w>")
        assert not any(piece.endswith("</w>") for piece in partition.pieces[:-1])


def test_characters_without_a_token_are_averaged_over_their_bytes() -> None:
    snowman = [f"<0x{byte:02X}>" for byte in "☃".encode()]
    partition = partitions_of("llama2")["▁☃☃"]
    assert (partition.source, partition.unk_pieces) == ("averaged", 0)
    assert list(partition.pieces) == ["▁", *snowman, *snowman]


def test_unknown_unigram_pieces_are_dropped_by_their_id() -> None:
    partition = partitions_of("t5")["▁a☃b"]
    assert partition.unk_pieces == 1
    assert not {"☃", "<unk>"} & set(partition.pieces)
    # "▁" stands before it, so there is something to average.
    assert partitions_of("t5")["▁☃☃"].pieces == ("▁",)
    assert partitions_of("t5")["☃"].base_ids == ()


@pytest.mark.parametrize("name", BASES)
def test_an_added_token_is_split_as_text(name: str) -> None:
    base, _ = domain_of(name)
    partition = partitions_of(name)["<dr ug>"]
    ids = base("<dr ug>", add_special_tokens=False)["input_ids"]
    assert list(partition.base_ids) == [i for i in ids if i != base.unk_token_id]


def test_an_added_token_of_the_base_is_copied() -> None:
    base = BASES["llama3"]()
    base.add_tokens([AddedToken("<dose>", lstrip=True)])
    domain = train_tokenizer(base, domain_texts, len(base) - 80)
    dose = next(p for p in partition_vocabulary(base, domain) if p.token == "<dose>")
    assert (dose.source, dose.base_ids) == ("copied", (len(base) - 1,))


@pytest.mark.parametrize(
    ("name", "token", "length"),
    [
        ("gpt2", "ĠGrÃ¶", 4),
        ("clip", "rÃ¶</w>", 3),
        ("llama2", "▁Grö", 3),
        ("llama2", "<0x0A>", 1),
        ("t5", "▁", 1),
        ("xlmr", "ö", 1),
    ],
)
def test_lengths_are_in_bytes_or_characters_without_marks(
    name: str, token: str, length: int
) -> None:
    assert len(family_of(BASES[name]()).surface(token)) == length
