"""Texts as bags of tokens: what is counted, and the means that are made of them."""

from itertools import chain, pairwise
from random import Random

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.matrix_tokenizers import FAMILIES, tokenizer_pair
from worker.compression.static.bags import Bags, read_bags, unknown_id
from worker.compression.tokenizers.tokenizer_json import unbounded


def test_the_unknown_token_is_found_in_every_family() -> None:
    for family in FAMILIES:
        tokenizer, _ = tokenizer_pair(family)
        assert unknown_id(unbounded(tokenizer)) in {None, tokenizer.unk_token_id}


def test_special_and_unknown_tokens_are_left_out() -> None:
    tokenizer, _ = tokenizer_pair("wordpiece")
    bags = read_bags(unbounded(tokenizer), ["a rash \u4f60", "", "a rash"])
    assert bags.starts.diff().tolist()[1] == 0
    first, _, third = (bags.ids[a:b].tolist() for a, b in pairwise(bags.starts))
    assert first == third
    assert not set(first) & set(tokenizer.all_special_ids)


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=8), st.randoms())
def test_means_are_those_of_each_text_in_any_order(texts: list[list[int]], draw: Random) -> None:
    starts = torch.tensor([0, *map(len, texts)]).cumsum(0)
    bags = Bags(torch.tensor([*chain(*texts)], dtype=torch.long), starts)
    table = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    order = list(range(len(texts)))
    draw.shuffle(order)
    zero = torch.zeros(4)
    expected = [table[texts[i]].mean(0) if texts[i] else zero for i in order]
    found = bags.means(table, torch.tensor(order))
    torch.testing.assert_close(found, torch.stack(expected))
    torch.testing.assert_close(bags.all_means(table)[torch.tensor(order)], found)
