"""Dropping layers of every type of model: what is left computes as the base's layers do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel

from app.contract.architectures import evenly_spaced
from tests.support.matrix_models import DEEP, KINDS, Kind, deep, kind_cases
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from worker.compression import TooManyLayersError, load_model, save_model
from worker.compression.models.layers import drop_layers, layer_count


def run(model: Any, tokenizer: Any) -> torch.Tensor:
    batch = tokenizer(domain_texts(), padding=True, truncation=True, return_tensors="pt")
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = batch["input_ids"]
    with torch.inference_mode():
        output: torch.Tensor = model(**inputs)[0]
    return output


class Through(nn.Module):
    """A layer that hands on what it is given."""

    def forward(self, states: Any, *_: Any, **__: Any) -> Any:
        return states


@pytest.mark.parametrize("kind", kind_cases())
def test_what_is_left_of_every_type(kind: Kind, tmp_path: Path) -> None:
    tokenizer, _ = tokenizer_pair(kind.family)
    model = kind.make(kind.classes[0], tokenizer, **deep(kind))
    assert layer_count(model) == DEEP
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    smaller: Any = drop_layers(model, 3)
    assert layer_count(smaller) == 3
    assert (type(smaller), smaller.dtype) == (type(model), model.dtype)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    save_model(tmp_path, smaller, tokenizer)
    loaded: Any = load_model(tmp_path).model
    assert layer_count(loaded) == 3
    assert torch.equal(run(loaded, tokenizer), run(smaller, tokenizer))
    AutoModel.from_pretrained(tmp_path)
    assert torch.equal(run(drop_layers(model, DEEP), tokenizer), run(model, tokenizer))


@pytest.mark.parametrize("model_type", ["bert", "llama", "qwen2"])
def test_the_kept_layers_compute_what_the_base_does_without_the_others(model_type: str) -> None:
    kind = next(kind for kind in KINDS if kind.model_type == model_type)
    tokenizer, _ = tokenizer_pair(kind.family)
    model = kind.make(
        "BertModel" if model_type == "bert" else kind.classes[1], tokenizer, **deep(kind)
    )
    smaller = drop_layers(model, 3)
    layers = model.encoder.layer if model_type == "bert" else model.layers
    for dropped in (1, 3):
        layers[dropped].forward = Through().forward
    torch.testing.assert_close(run(smaller, tokenizer), run(model, tokenizer))


def test_layers_of_several_types_keep_their_type() -> None:
    kind = next(kind for kind in KINDS if kind.model_type == "modernbert")
    tokenizer, _ = tokenizer_pair(kind.family)
    model = kind.make("ModernBertModel", tokenizer, **deep(kind))
    types = model.config.layer_types
    assert len(set(types)) == 2
    smaller: Any = drop_layers(model, 3)
    assert smaller.config.layer_types == [types[i] for i in (0, 2, 4)]


def test_the_shallower_half_of_an_encoder_decoder_stays_whole() -> None:
    kind = next(kind for kind in KINDS if kind.model_type == "bart")
    tokenizer, _ = tokenizer_pair(kind.family)
    model = kind.make("BartModel", tokenizer, encoder_layers=4, decoder_layers=1)
    smaller: Any = drop_layers(model, 2)
    assert (len(smaller.encoder.layers), len(smaller.decoder.layers)) == (2, 1)
    assert (smaller.config.encoder_layers, smaller.config.decoder_layers) == (2, 1)


def test_first_and_last_stay() -> None:
    assert evenly_spaced(6, 3) == [0, 2, 5]
    assert evenly_spaced(6, 2) == [0, 5]
    assert evenly_spaced(12, 4) == [0, 4, 7, 11]
    assert (evenly_spaced(6, 1), evenly_spaced(6, 6)) == ([0], [0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize("keep", [0, -1, 3, 100])
def test_more_layers_than_there_are(keep: int, masked_lm: Any) -> None:
    with pytest.raises(TooManyLayersError, match="the base has 2 layers: give 1 to 2"):
        drop_layers(masked_lm, keep)
