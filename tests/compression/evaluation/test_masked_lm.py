import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertForMaskedLM
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import MakeModel
from worker.compression import (
    LoadedModel,
    load_model,
    measure_quality,
    required_tokens,
    train_tokenizer,
    transfer_vocabulary,
)
from worker.compression.evaluation.metrics.masked_lm import bits_per_character, has_masked_lm
from worker.compression.models.encoder import Encoder
from worker.compression.progress import silent


def test_the_rest_of_a_word_is_masked_with_each_of_its_tokens(
    masked_lm: Any, uncased: PreTrainedTokenizerBase
) -> None:
    text = "the boxing"
    cls, the, b, o, x, ing, sep = uncased(text)["input_ids"]
    mask = uncased.mask_token_id
    rows = [
        ([cls, mask, b, o, x, ing, sep], 1, the),
        ([cls, the, mask, mask, mask, mask, sep], 2, b),
        ([cls, the, b, mask, mask, mask, sep], 3, o),
        ([cls, the, b, o, mask, mask, sep], 4, x),
        ([cls, the, b, o, x, mask, sep], 5, ing),
    ]
    bits = 0.0
    with torch.inference_mode():
        for ids, position, token in rows:
            scores = masked_lm(torch.tensor([ids])).logits[0, position]
            bits -= scores.log_softmax(0)[token].item() / math.log(2)
    encoder = Encoder(LoadedModel(masked_lm, uncased, Path()))
    measured = bits_per_character(encoder, [text], silent)
    assert measured == pytest.approx(bits / len(text), rel=1e-5)


def test_a_model_with_a_head_has_a_row(
    tiny_model: MakeModel, uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    base = LoadedModel(tiny_model(BertForMaskedLM), uncased, Path())
    headless = LoadedModel(tiny_model(), uncased, Path())
    row = measure_quality(base, base, documents[:5])[-1]
    assert (row.metric, row.retention) == ("masked_lm_bits_per_character", 1)
    assert not has_masked_lm(Encoder(headless))
    assert len(measure_quality(headless, headless, documents[:5])) == 2


def test_halves_run_as_floats_on_a_cpu(masked_lm: Any, uncased: PreTrainedTokenizerBase) -> None:
    half = LoadedModel(masked_lm.half(), uncased, Path())
    assert Encoder(half).vectors(["the rash"]).dtype == torch.float32
    assert half.model.dtype == torch.float16


@pytest.mark.skipif("FVT_MODELS_DIR" not in os.environ, reason="needs FVT_MODELS_DIR")
def test_a_trained_head_survives_the_transfer(documents: list[str]) -> None:
    base = load_model(Path(os.environ["FVT_MODELS_DIR"], "minilm-l6-mlm"))
    keep = required_tokens(base.model, base.tokenizer)
    domain = train_tokenizer(base.tokenizer, lambda: documents, 180, keep_tokens=keep)
    model = transfer_vocabulary(base.model, base.tokenizer, domain).model
    before = bits_per_character(Encoder(base), documents[:4], silent)
    transferred = Encoder(LoadedModel(model, domain, Path()))
    assert before < 3
    assert bits_per_character(transferred, documents[:4], silent) < 2 * before
