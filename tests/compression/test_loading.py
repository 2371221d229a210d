import json
from pathlib import Path

import pytest
import torch
from transformers import BertForMaskedLM, BertForSequenceClassification, BertModel, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.compression.conftest import MakeModel
from worker.compression import (
    LoadedModel,
    UnsupportedModelError,
    UnsupportedTokenizerError,
    load_model,
    save_model,
)


@pytest.mark.parametrize("model_class", [BertModel, BertForMaskedLM, BertForSequenceClassification])
def test_a_model_keeps_its_class_dtype_and_heads(
    tiny_model: MakeModel, uncased: PreTrainedTokenizerBase, tmp_path: Path, model_class: type
) -> None:
    model = tiny_model(model_class).half()
    save_model(tmp_path, model, uncased)
    loaded = load_model(tmp_path).model
    assert type(loaded) is model_class
    assert loaded.dtype == torch.float16
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_the_packaged_model_is_a_bert(minilm: LoadedModel) -> None:
    assert type(minilm.model) is BertModel
    assert minilm.model.dtype == torch.float32


def test_a_tokenizer_longer_than_the_table_is_refused(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    uncased.add_tokens(["<new>"])
    save_model(tmp_path, masked_lm, uncased)
    with pytest.raises(UnsupportedModelError, match="210 tokens and the embedding matrix 209"):
        load_model(tmp_path)


def test_pickled_weights_are_refused(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_model(tmp_path, masked_lm, uncased)
    torch.save(masked_lm.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModelError, match="safetensors"):
        load_model(tmp_path)


def test_code_of_the_folder_is_not_run(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_model(tmp_path, masked_lm, uncased)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('the code was run')")
    with pytest.raises(UnsupportedModelError):
        load_model(tmp_path)


def test_damaged_weights_are_refused(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_model(tmp_path, masked_lm, uncased)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UnsupportedModelError):
        load_model(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(
    masked_lm: PreTrainedModel, tmp_path: Path
) -> None:
    masked_lm.save_pretrained(tmp_path)
    with pytest.raises(UnsupportedTokenizerError):
        load_model(tmp_path)
