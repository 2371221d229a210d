"""Tables that are longer than the tokenizer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.matrix_models import KINDS, Kind
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from worker.compression import load_model, measure_size, save_model, transfer_vocabulary
from worker.compression.self_check import check_artifact

MULTIPLE = 64
BY_TYPE = {kind.model_type: kind for kind in reversed(KINDS)}
GENERATING = [BY_TYPE[name] for name in ("gpt2", "llama", "t5", "bart")]


def padded(kind: Kind) -> tuple[Any, Any, int]:
    """A transferred model with padding rows, the same without, and the number of tokens."""
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(kind.classes[0], base)
    if kind.model_type == "bert":
        model = kind.make("BertForMaskedLM", base)
    more = transfer_vocabulary(model, base, domain, pad_to_multiple_of=MULTIPLE).model
    return more, transfer_vocabulary(model, base, domain).model, len(domain)


def logits(model: Any, ids: Tensor) -> Tensor:
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        result: Tensor = model(input_ids=ids, **more).logits
    return result


@pytest.mark.parametrize("kind", [*GENERATING, BY_TYPE["bert"]], ids=lambda kind: kind.model_type)
def test_rows_without_a_token_change_no_other_and_are_never_predicted(
    kind: Kind, tmp_path: Path
) -> None:
    model, plain, size = padded(kind)
    rows = model.get_input_embeddings().num_embeddings
    assert rows % MULTIPLE == 0
    assert size < rows < size + MULTIPLE
    assert model.config.vocab_size == rows
    ids = torch.arange(40).reshape(2, 20)
    scores, expected = logits(model, ids), logits(plain, ids)
    assert scores.shape[-1] == rows
    torch.testing.assert_close(scores[..., :size], expected, rtol=0, atol=1e-5)
    assert scores.argmax(-1).max() < size
    save_model(tmp_path, model, tokenizer_pair(kind.family)[1])
    assert measure_size(load_model(tmp_path)).vocab_size == size
    assert load_model(tmp_path).model.config.vocab_size == rows
    check_artifact(tmp_path, domain_texts())


@pytest.mark.parametrize("kind", GENERATING, ids=lambda kind: kind.model_type)
def test_sampling_never_draws_a_row_without_a_token(kind: Kind) -> None:
    model, _, size = padded(kind)
    ids = torch.arange(20)[None]
    torch.manual_seed(0)
    settings = {"max_new_tokens": 20, "min_new_tokens": 20, "temperature": 100.0}
    drawn = model.generate(input_ids=ids, do_sample=True, num_return_sequences=20, **settings)
    assert drawn.max() < size


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_bias_of_rows_without_a_token_is_finite_in_half_precision(dtype: torch.dtype) -> None:
    base, domain = tokenizer_pair("wordpiece")
    model = BY_TYPE["bert"].make("BertForMaskedLM", base).to(dtype)
    student: Any = transfer_vocabulary(model, base, domain, pad_to_multiple_of=MULTIPLE).model
    bias = student.cls.predictions.bias
    assert torch.isfinite(bias).all()
    assert bias[len(domain) :].max() < -1000
