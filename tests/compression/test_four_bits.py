"""Weights in four bits: whole numbers, whole multipliers of blocks, and the scale of a row."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import nn

from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression.four_bits import (
    BLOCK,
    FEWEST,
    MATRIX_MULTIPLIERS,
    TABLE_MULTIPLIERS,
    quantize_blocks,
    rounded_weights,
)

MOST = (MATRIX_MULTIPLIERS, TABLE_MULTIPLIERS)
WEIGHTS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=80),
    elements=st.floats(-1000, 1000, width=32),
)


@given(WEIGHTS, st.sampled_from(MOST))
def test_numbers_and_multipliers_are_whole_and_fit_in_eight_bits(
    weights: np.ndarray[Any, Any], most: int
) -> None:
    found = quantize_blocks(torch.tensor(weights), most)
    rows, blocks = weights.shape[0], -(-weights.shape[1] // BLOCK)
    assert found.numbers.shape == (rows, blocks, BLOCK)
    assert found.multipliers.shape == (rows, blocks)
    assert int(found.numbers.abs().max()) <= 7
    assert 1 <= int(found.multipliers.min()) <= int(found.multipliers.max()) <= most
    assert 7 * most <= 127
    assert found.weights().shape == weights.shape


@given(WEIGHTS, st.sampled_from(MOST))
def test_it_is_no_worse_than_the_multiplier_that_cuts_nothing(
    weights: np.ndarray[Any, Any], most: int
) -> None:
    found = quantize_blocks(torch.tensor(weights), most).weights().numpy().astype(np.float64)
    for row, values in enumerate(weights.astype(np.float64)):
        scale = np.abs(values).max() / 7 / most
        if scale < 1e-37:
            assert np.abs(found[row]).max() <= 1e-35
            continue
        for start in range(0, len(values), BLOCK):
            block = values[start : start + BLOCK]
            step = scale * np.clip(np.round(np.abs(block).max() / 7 / scale), 1, most)
            plain = np.clip(np.round(block / step), -7, 7) * step
            ours = np.square(found[row, start : start + BLOCK] - block).sum()
            assert ours <= np.square(plain - block).sum() * 1.001 + 1e-4 * scale**2


def test_large_and_small_blocks_of_a_row_have_steps_of_their_own() -> None:
    weights = torch.randn(40, 2 * BLOCK, generator=torch.Generator().manual_seed(0))
    weights[:, BLOCK:] /= 6
    found = quantize_blocks(weights, TABLE_MULTIPLIERS).weights()
    small = (found - weights)[:, BLOCK:].square().mean() / weights[:, BLOCK:].square().mean()
    # With the large ones' step, they would all be a third of a step or less.
    assert small < 0.03


@pytest.mark.parametrize("name", ["BertForMaskedLM", "GPT2LMHeadModel"])
def test_a_model_computes_with_rounded_weights_in_the_block_alone(name: str) -> None:
    kind = next(kind for kind in KINDS if name in kind.classes)
    wide = {"hidden_size": 128, "intermediate_size": 128} if name[0] == "B" else {"n_embd": 128}
    model = kind.make(name, tokenizer_pair(kind.family)[0], **wide)
    before = {part: weight.detach().clone() for part, weight in model.named_parameters()}
    with suppress(ZeroDivisionError), rounded_weights(model):
        for part, weight in model.named_parameters():
            is_large = weight.dim() == 2 and weight.numel() >= FEWEST
            assert torch.equal(weight, before[part]) is not is_large, part
            if is_large and "embed" in part:
                expected = quantize_blocks(before[part], TABLE_MULTIPLIERS).weights()
                assert torch.equal(weight, expected)
        raise ZeroDivisionError
    for part, weight in model.named_parameters():
        assert torch.equal(weight, before[part])


def test_gradients_of_the_rounded_weights_reach_the_exact_ones() -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Linear(64, 64, bias=False))
    given_, exact = torch.randn(5, 64), model[0].weight.detach().clone()
    with rounded_weights(model):
        rounded = model[0].weight.detach().clone()
        model(given_).square().sum().backward()
    # The derivative of |x W^T|^2 by W, at the rounded weights.
    expected = 2 * (given_ @ rounded.T).T @ given_
    torch.testing.assert_close(model[0].weight.grad, expected)
    torch.optim.SGD(model.parameters(), lr=1e-3).step()
    torch.testing.assert_close(model[0].weight.detach(), exact - 1e-3 * expected)
