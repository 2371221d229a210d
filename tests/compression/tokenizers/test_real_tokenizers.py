"""Real tokenizer files, from the folder that FVT_TOKENIZERS_DIR names."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from transformers import AutoTokenizer, BertTokenizer, GPT2Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.compression.tokenizers.test_families import TEXTS, ordinary_tokens, prose
from tests.support.matrix_tokenizers import split_by_hand
from worker.compression import measure_tokens, train_tokenizer
from worker.compression.tokenizers.families import family_of
from worker.compression.tokenizers.tokenizer_json import backend_json
from worker.compression.tokenizers.words import is_byte_token
from worker.compression.transfer.partition import partition_vocabulary

FOLDER = os.environ.get("FVT_TOKENIZERS_DIR")
CLASSES: dict[str, Any] = {"gpt2": GPT2Tokenizer, "bert-base-cased": BertTokenizer}
LOSSLESS = ("gpt2", "roberta-base", "phi-3-mini")
OTHERS = ("bert-base-cased", "t5-small", "xlmr-unigram-30k-de")
SIZE = 1500

pytestmark = pytest.mark.skipif(not FOLDER, reason="FVT_TOKENIZERS_DIR is not set")
ALL = pytest.mark.parametrize("name", [*LOSSLESS, *OTHERS])


@cache
def pair(name: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    base = CLASSES.get(name, AutoTokenizer).from_pretrained(Path(FOLDER or "", name))
    return base, train_tokenizer(base, lambda: prose()[:600:2], SIZE)


@ALL
def test_every_token_can_be_reached_and_no_merge_is_an_orphan(name: str) -> None:
    _, domain = pair(name)
    assert sorted(domain.get_vocab().values()) == list(range(SIZE))
    split, ids = family_of(domain).raw_splitter(domain.backend_tokenizer), domain.get_vocab()
    tokens = [token for token in ordinary_tokens(domain) if not is_byte_token(token)]
    assert not [token for token in tokens if split([token]).ids.tolist() != [ids[token]]]
    model = backend_json(domain)["model"]
    for left, right in model.get("merges", []):
        assert {left, right, left + right} <= model["vocab"].keys()


@pytest.mark.parametrize("name", LOSSLESS)
@given(text=TEXTS)
@settings(max_examples=30)
def test_text_decodes_to_what_it_did(name: str, text: str) -> None:
    before, after = (t(text, add_special_tokens=False)["input_ids"] for t in pair(name))
    assert pair(name)[1].decode(after) == pair(name)[0].decode(before)


@pytest.mark.parametrize("name", OTHERS)
@given(text=TEXTS)
@settings(max_examples=30)
def test_text_that_is_known_decodes_to_what_it_did(name: str, text: str) -> None:
    base, domain = pair(name)
    before, after = (t(text, add_special_tokens=False)["input_ids"] for t in pair(name))
    if base.unk_token_id not in before and domain.unk_token_id not in after:
        assert domain.decode(after) == base.decode(before)


@ALL
def test_special_tokens_stand_where_they_stood(name: str) -> None:
    base, domain = (t("winter", "garden") for t in pair(name))
    tokens = [
        [
            t.all_special_tokens.index(token)
            for token in t.convert_ids_to_tokens(e["input_ids"])
            if token in t.all_special_tokens
        ]
        for t, e in zip(pair(name), (base, domain), strict=True)
    ]
    assert tokens[0] == tokens[1]
    assert max(domain["input_ids"]) < SIZE


@ALL
def test_partitions_are_those_of_the_definitions(name: str) -> None:
    base, domain = pair(name)
    known = base.get_vocab()
    itself = partition_vocabulary(base, base)
    assert [p.base_ids for p in itself] == [(i,) for i in range(len(base))]
    averaged = [p for p in partition_vocabulary(base, domain) if p.source == "averaged"]
    assert averaged
    for partition in averaged[:: max(1, len(averaged) // 20)]:
        pieces = split_by_hand(base, partition.token)
        assert list(partition.pieces) == pieces
        assert list(partition.base_ids) == [known[piece] for piece in pieces]


@ALL
def test_fewer_tokens_than_the_base_on_the_domain(name: str) -> None:
    base, _ = pair(name)
    domain = train_tokenizer(base, lambda: prose()[:600:2], 3 * SIZE // 2)
    usage = measure_tokens(base, domain, prose()[1:600:2])
    assert usage.per_text_after < 1.2 * usage.per_text_before
    unknown_before = usage.unk_rate_before * usage.per_text_before
    assert usage.unk_rate_after * usage.per_text_after <= unknown_before + 1e-9
