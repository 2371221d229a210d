"""Graphs of encoders that leave the padding out, run beside those that compute it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.compression.runtimes.test_onnx import saved
from tests.support.matrix_models import every_class
from tests.support.matrix_tokenizers import tokenizer_pair
from tests.support.some_slow import some_slow
from worker.compression import export_model, load_model, save_model
from worker.compression.runtimes.onnx import Graph, write_graph
from worker.compression.runtimes.onnx_packing import pack
from worker.compression.runtimes.onnx_shapes import fix_reshapes, observe

ENCODERS = {
    *("BertModel", "DistilBertModel", "RobertaModel", "XLMRobertaModel", "AlbertModel"),
    *("ElectraModel", "MPNetModel", "DebertaModel", "DebertaV2Model", "ModernBertModel"),
}
DECODERS = {"GPT2Model", "LlamaForCausalLM"}
BY_NAME = {name: kind for kind, name in every_class()}
KEPT, REAL = "kept_tokens", [9, 1, 4]


def inputs(lengths: list[int]) -> dict[str, np.ndarray[Any, Any]]:
    """Texts of so many tokens, padded to the longest."""
    shape = len(lengths), max(lengths)
    ids = np.random.default_rng(0).integers(5, 40, shape)
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def run(file: Path, given: dict[str, np.ndarray[Any, Any]], *more: str) -> list[Any]:
    """The first output of a file, and tensors from its inside."""
    model = onnx.load(file)
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in more)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    named = {one.name: given[one.name] for one in session.get_inputs()}
    return list(session.run([model.graph.output[0].name, *more], named))


def products(file: Path) -> tuple[list[str], list[str]]:
    """Products with a matrix of the model, by their outputs: those of kept tokens, and others."""
    graph = onnx.load(file).graph
    weights = {tensor.name for tensor in graph.initializer}
    found = [n.output[0] for n in graph.node if n.op_type == "MatMul" and n.input[1] in weights]
    return [n for n in found if n.endswith("_kept")], [n for n in found if not n.endswith("_kept")]


@pytest.mark.parametrize("name", some_slow(sorted(ENCODERS), fast={"BertModel", "ModernBertModel"}))
def test_an_encoder_leaves_the_padding_out(name: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", BY_NAME[name], name)
    export_model(folder, tmp_path, ["onnx"])
    file, whole = tmp_path / "onnx" / "model.onnx", tmp_path / "whole.onnx"
    write_graph(Graph(load_model(folder)), whole)
    kept, others = products(file)
    assert len(kept) >= 6
    # Of ALBERT's width, and of DeBERTa's relative positions, which no text has.
    assert not others or name.startswith(("Albert", "Deberta"))
    given = inputs(REAL)
    found, tokens, product = run(file, given, KEPT, kept[-1])
    assert [*tokens] == [*np.flatnonzero(given["attention_mask"])]
    assert len(product) == sum(REAL)
    (expected,) = run(whole, given)
    real = given["attention_mask"] == 1
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-3, atol=1e-5)
    # A text alone is what it is among others.
    alone = {key: value[2:, : REAL[2]] for key, value in given.items()}
    np.testing.assert_allclose(run(file, alone)[0][0], found[2, : REAL[2]], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("runtime", ["onnx-int8", "onnx-int4"])
def test_quantized_files_leave_it_out_too(runtime: str, tmp_path: Path) -> None:
    base, _ = tokenizer_pair("wordpiece")
    wide = {"num_hidden_layers": 1, "hidden_size": 128, "intermediate_size": 512}
    save_model(tmp_path / "model", BY_NAME["BertModel"].make("BertModel", base, **wide), base)
    plain, quantized = export_model(tmp_path / "model", tmp_path, ["onnx", runtime])
    given = inputs(REAL)
    real = given["attention_mask"] == 1
    (expected,) = run(tmp_path / plain.path, given)
    graph = onnx.load(tmp_path / quantized.path).graph
    multiplied = [n.output[0] for n in graph.node if n.op_type == "MatMulInteger"]
    assert len(multiplied) >= 6
    found, *sums = run(tmp_path / quantized.path, given, *multiplied)
    assert {len(one) for one in sums} == {sum(REAL)}
    before, after = expected[real], found[real]
    assert (before * after).sum() / np.linalg.norm(before) / np.linalg.norm(after) > 0.95


@pytest.mark.parametrize("name", some_slow(sorted(DECODERS), fast={"GPT2Model"}))
def test_a_decoder_is_written_as_it_is(name: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", BY_NAME[name], name)
    export_model(folder, tmp_path, ["onnx"])
    write_graph(Graph(load_model(folder)), tmp_path / "whole.onnx")
    written = (tmp_path / "onnx" / "model.onnx").read_bytes()
    assert written == (tmp_path / "whole.onnx").read_bytes()


def test_padding_on_the_left_and_a_text_without_tokens(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", BY_NAME["BertModel"], "BertModel")
    export_model(folder, tmp_path, ["onnx"])
    file, whole = tmp_path / "onnx" / "model.onnx", tmp_path / "whole.onnx"
    write_graph(Graph(load_model(folder)), whole)
    given = inputs(REAL)
    given["attention_mask"] = given["attention_mask"][:, ::-1].copy()
    given["attention_mask"][1] = 0
    (found,), (expected,) = run(file, given), run(whole, given)
    real = given["attention_mask"] == 1
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-3, atol=1e-5)
    assert np.isfinite(found).all()
    # A server that warms up does so with zeros.
    (found,) = run(file, {key: np.zeros_like(value) for key, value in given.items()})
    assert found.shape == expected.shape
    assert np.isfinite(found).all()


def test_scores_of_padding_are_no_denormal_numbers(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", BY_NAME["BertModel"], "BertModel")
    export_model(folder, tmp_path, ["onnx"])
    file = tmp_path / "onnx" / "model.onnx"
    softmax = [n.output[0] for n in onnx.load(file).graph.node if n.op_type == "Softmax"]
    _, *shares = run(file, inputs([30, 2]), *softmax)
    assert len(shares) == load_model(folder).model.config.num_hidden_layers
    for share in shares:
        padding = share[1, :, :2, 2:]
        assert (padding > np.finfo(np.float32).tiny).all()
        assert padding.sum() < np.finfo(np.float32).eps / 1000


def test_a_graph_without_products_stays_as_it_is() -> None:
    info = helper.make_tensor_value_info
    names = ("input_ids", "attention_mask")
    put = [info(name, TensorProto.INT64, ["texts", "tokens"]) for name in names]
    out = info("out", TensorProto.FLOAT, ["texts", "tokens", 8])
    table = numpy_helper.from_array(np.ones((4, 8), np.float32), "table")
    node = helper.make_node("Gather", ["table", "input_ids"], ["out"])
    graph = helper.make_graph([node], "g", put, [out], [table])
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    before = model.SerializeToString()
    observed = observe(model)
    assert observed.tail("out", 3) == (8,)
    fix_reshapes(model.graph, observed)
    assert not pack(model.graph, observed)
    assert model.SerializeToString() == before
