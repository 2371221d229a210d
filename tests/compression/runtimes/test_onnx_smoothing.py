"""A graph with its large channels divided computes the same, and loses less in eight bits."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.support.domain import domain_documents
from tests.support.matrix_models import Kind, every_class
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression import LoadedModel, export_model, load_model, save_model
from worker.compression.models.encoder import Encoder
from worker.compression.runtimes import onnx_smoothing
from worker.compression.runtimes.onnx import OnnxEncoder
from worker.compression.runtimes.onnx_smoothing import smooth

FEW = {name: kind for kind, name in every_class() if name in ("BertModel", "GPT2LMHeadModel")}


def with_a_large_channel(folder: Path, kind: Kind, name: str) -> LoadedModel:
    """A tiny model of which one channel of each norm is thirty times as large as the others."""
    tokenizer, _ = tokenizer_pair(kind.family)
    model = kind.make(name, tokenizer)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.weight.data[3] *= 30
    save_model(folder, model, tokenizer)
    return load_model(folder)


@pytest.mark.parametrize("name", FEW)
def test_the_graph_computes_the_same(name: str, tmp_path: Path) -> None:
    loaded = with_a_large_channel(tmp_path, FEW[name], name)
    export_model(tmp_path, tmp_path, ["onnx"])
    model = onnx.load(tmp_path / "onnx" / "model.onnx")
    before, ids = onnxruntime.InferenceSession(model.SerializeToString()), np.array([[5, 6, 7, 8]])
    smooth(model, loaded)
    after = onnxruntime.InferenceSession(model.SerializeToString())
    given: dict[str, Any] = {
        node.name: np.ones_like(ids) if node.name == "attention_mask" else ids * 0
        for node in before.get_inputs()
    } | {"input_ids": ids}
    divided = [node for node in model.graph.node if node.output[0].endswith("_smooth")]
    shares = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert divided
    for node in divided:
        share = shares[node.input[1]]
        assert share.max() == 1
        assert (share < 1).mean() < 0.5
    for wanted, found in zip(before.run(None, given), after.run(None, given), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4 * float(np.abs(wanted).max()))


@pytest.mark.slow
def test_eight_bits_lose_half_as_much(
    minilm: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = domain_documents(64)
    expected, lost = Encoder(minilm).vectors(texts), []
    for largest in (float("inf"), onnx_smoothing._LARGEST):
        monkeypatch.setattr(onnx_smoothing, "_LARGEST", largest)
        export_model(minilm.folder, tmp_path, ["onnx", "onnx-int8"])
        vectors = OnnxEncoder(minilm, tmp_path / "onnx" / "model_int8.onnx").vectors(texts)
        lost.append(1 - float(torch.cosine_similarity(vectors, expected).mean()))
    plain, smoothed = lost
    assert smoothed < plain / 1.5
