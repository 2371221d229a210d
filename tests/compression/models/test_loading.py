import json
from pathlib import Path

import pytest
import torch
from transformers import BertForMaskedLM, BertForSequenceClassification, BertModel, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import MakeModel
from worker.compression import (
    LoadedModel,
    NonFiniteWeightsError,
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


def test_a_table_far_longer_than_the_tokenizer_is_refused(
    tiny_model: MakeModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_model(tmp_path, tiny_model(vocab_size=5000), uncased)
    with pytest.raises(UnsupportedModelError, match="5000 rows for a tokenizer of 209 tokens"):
        load_model(tmp_path)


def test_a_missing_shard_and_a_cut_one_are_refused(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    masked_lm.save_pretrained(tmp_path, max_shard_size="8KB")
    uncased.save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert type(load_model(tmp_path).model) is BertForMaskedLM
    content = shards[-1].read_bytes()
    shards[-1].write_bytes(content[:-10])
    with pytest.raises(UnsupportedModelError):
        load_model(tmp_path)
    shards[-1].unlink()
    with pytest.raises(UnsupportedModelError):
        load_model(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias"])
def test_weights_that_are_not_finite_are_named(
    masked_lm: PreTrainedModel,
    uncased: PreTrainedTokenizerBase,
    tmp_path: Path,
    value: float,
    name: str,
) -> None:
    masked_lm.get_parameter(name).data.view(-1)[5] = value
    save_model(tmp_path, masked_lm, uncased)
    with pytest.raises(NonFiniteWeightsError, match=name.replace(".", r"\.")):
        load_model(tmp_path)


def test_a_config_that_lies_about_its_sizes_is_refused(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_model(tmp_path, masked_lm, uncased)
    config = json.loads((tmp_path / "config.json").read_text())
    lies: dict[str, int] = {"hidden_size": 32, "intermediate_size": 48, "vocab_size": 300}
    lies |= {"num_hidden_layers": 1, "max_position_embeddings": 99}
    for name, value in [*lies.items(), ("num_hidden_layers", 3), ("pad_token_id", 999)]:
        (tmp_path / "config.json").write_text(json.dumps(config | {name: value}))
        with pytest.raises(UnsupportedModelError):
            load_model(tmp_path)


def test_a_pooler_that_is_missing_is_drawn_the_same_every_time(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_model(tmp_path, masked_lm, uncased)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
    first, again = (load_model(tmp_path).model.state_dict() for _ in range(2))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
