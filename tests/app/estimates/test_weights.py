"""Parameters and bytes of every model type, against what the engine makes and measures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.base_models.weights import read_tensors, weight_files
from app.contract.architectures import evenly_spaced
from app.estimates import weights
from tests.support.matrix_models import DEEP, KINDS, Kind, class_cases, deep
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression import load_model, measure_size, save_model, transfer_vocabulary
from worker.compression.models.layers import drop_layers

KEPT = 3


def check(folder: Path, measured: Path, tokens: int | None, layers: int | None) -> None:
    """Compare the estimate from a base's folder with the engine's measure of a result's."""
    config = json.loads((folder / "config.json").read_text())
    tensors = weights.kept_tensors(config, read_tensors(weight_files(folder)))
    if tokens is not None:
        tensors = weights.with_vocabulary(config, tensors, tokens)
    if layers is not None:
        tensors = weights.with_layers(tensors, layers)
    found = weights.measure({**config, "vocab_size": tokens or config["vocab_size"]}, tensors)
    true = measure_size(load_model(measured))
    assert found.parameters == true.parameters
    assert found.table_parameters == true.embedding_parameters
    if tokens is not None:
        assert found.bytes == true.bytes


@pytest.mark.parametrize(("kind", "model_class"), class_cases())
def test_a_compressed_model_is_as_large_as_estimated(
    kind: Kind, model_class: str, tmp_path: Path
) -> None:
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(model_class, base)
    save_model(tmp_path / "base", model, base)
    check(tmp_path / "base", tmp_path / "base", None, None)
    student = transfer_vocabulary(model, base, domain).model
    save_model(tmp_path / "result", student, domain)
    check(tmp_path / "base", tmp_path / "result", len(domain), None)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "model_class"), class_cases())
def test_with_fewer_layers_too(kind: Kind, model_class: str, tmp_path: Path) -> None:
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(model_class, base, **deep(kind))
    assert evenly_spaced(DEEP, KEPT) == [0, 2, 4]
    save_model(tmp_path / "base", model, base)
    student = drop_layers(transfer_vocabulary(model, base, domain).model, KEPT)
    save_model(tmp_path / "result", student, domain)
    check(tmp_path / "base", tmp_path / "result", len(domain), KEPT)


def older(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name and keep tensors as the first versions of transformers did."""
    ends = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, tensor in tensors.items():
        end = next((end for end in ends if name.endswith(end)), "")
        renamed[name.removesuffix(end) + ends.get(end, "")] = tensor
    return {**renamed, "bert.embeddings.position_ids": torch.arange(70).unsqueeze(0)}


def with_both_tables(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    table = tensors["bert.embeddings.word_embeddings.weight"]
    bias = tensors["cls.predictions.bias"]
    decoder = "cls.predictions.decoder"
    return {**tensors, f"{decoder}.weight": table.clone(), f"{decoder}.bias": bias.clone()}


def in_half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}


@pytest.mark.parametrize("layers", [None, 1])
@pytest.mark.parametrize("change", [older, with_both_tables, in_half])
@pytest.mark.parametrize("architecture", ["BertForMaskedLM", "BertModel"])
def test_checkpoints_of_older_versions(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    architecture: str,
    layers: int | None,
    tmp_path: Path,
) -> None:
    # A BertModel read from the weights of a whole one leaves the head, and is given a pooler.
    base, domain = tokenizer_pair("wordpiece")
    folder = tmp_path / "base"
    save_model(folder, KINDS[0].make("BertForMaskedLM", base), base)
    file, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    save_file(change(load_file(file)), file, {"format": "pt"})
    del config["dtype"]
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}))
    loaded = load_model(folder)
    student = transfer_vocabulary(loaded.model, loaded.tokenizer, domain).model
    if layers:
        student = drop_layers(student, layers)
    save_model(tmp_path / "result", student, domain)
    check(folder, tmp_path / "result", len(domain), layers)
