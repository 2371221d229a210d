"""Parameters and bytes of every model type, against what the engine makes and measures."""

import json
from pathlib import Path

import pytest

from app.base_models.weights import read_tensors, weight_files
from app.estimates import weights
from tests.support.matrix_models import DEEP, Kind, deep, every_class
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression import load_model, measure_size, save_model, transfer_vocabulary
from worker.compression.models.layers import drop_layers

CASES = list(every_class())
IDS = [f"{name}-{n}" for n, (_, name) in enumerate(CASES)]
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


@pytest.mark.parametrize(("kind", "model_class"), CASES, ids=IDS)
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
@pytest.mark.parametrize(("kind", "model_class"), CASES, ids=IDS)
def test_with_fewer_layers_too(kind: Kind, model_class: str, tmp_path: Path) -> None:
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(model_class, base, **deep(kind))
    assert weights.evenly_spaced(DEEP, KEPT) == [0, 2, 4]
    save_model(tmp_path / "base", model, base)
    student = drop_layers(transfer_vocabulary(model, base, domain).model, KEPT)
    save_model(tmp_path / "result", student, domain)
    check(tmp_path / "base", tmp_path / "result", len(domain), KEPT)
