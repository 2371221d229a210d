"""ONNX files of every supported type and head, run beside the models they were made of."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from tests.support.matrix_models import KINDS, Kind, every_class
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression import (
    ExportFailedError,
    ExportUnsupportedError,
    LoadedModel,
    export_model,
    load_model,
    save_model,
)
from worker.compression.four_bits import MATRIX_MULTIPLIERS, TABLE_MULTIPLIERS, quantize_blocks
from worker.compression.runtimes import RUNTIMES
from worker.compression.runtimes import onnx as onnx_graph
from worker.compression.runtimes.comparison import check_same
from worker.compression.runtimes.onnx import Graph, run_file, write_graph
from worker.compression.runtimes.onnx_int4 import quantize_weights
from worker.compression.runtimes.onnx_int8 import replace_tables, store_rows

BOTH = ("onnx", "onnx-int8")
ALL = (*BOTH, "onnx-int4")
ENCODER_DECODERS = ("T5Config", "MT5Config", "BartConfig", "MBartConfig")
QUICK = {
    *("BertModel", "BertForMaskedLM", "BertForSequenceClassification", "BertForQuestionAnswering"),
    *(
        "RobertaForTokenClassification",
        "DebertaV2Model",
        "ModernBertForMaskedLM",
        "GPT2LMHeadModel",
    ),
    *("LlamaForCausalLM", "LlamaForSequenceClassification", "Gemma3ForCausalLM"),
}
CASES = [
    pytest.param(kind, name, id=f"{n}-{name}", marks=[] if name in QUICK else pytest.mark.slow)
    for n, (kind, name) in enumerate(every_class())
    if kind.config not in ENCODER_DECODERS or name == "T5EncoderModel"
]
HEADS = ("BertForMaskedLM", "BertForTokenClassification", "LlamaForCausalLM", "GPT2LMHeadModel")
FEW = {name: kind for kind, name in every_class() if name in HEADS}


def saved(folder: Path, kind: Kind, model_class: str) -> Path:
    base, _ = tokenizer_pair(kind.family)
    save_model(folder, kind.make(model_class, base), base)
    return folder


def run_onnx(file: Path, **inputs: torch.Tensor) -> list[Any]:
    session = onnxruntime.InferenceSession(file)
    return list(session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()}))


def names(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    return [i.name for i in model.graph.input], [o.name for o in model.graph.output]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_file_is_the_model(kind: Kind, name: str, tmp_path: Path) -> None:
    found = export_model(saved(tmp_path / "model", kind, name), tmp_path, ["onnx"])
    assert [(file.runtime, file.path) for file in found] == [("onnx", "onnx/model.onnx")]
    file = tmp_path / "onnx" / "model.onnx"
    loaded = onnx.load(file)
    onnx.checker.check_model(loaded)
    assert loaded.opset_import[0].version == onnx_graph.OPSET
    for one in loaded.graph.input:
        dims = [dim.dim_param for dim in one.type.tensor_type.shape.dim]
        assert dims == ["batch", "sequence"]
    # Once more, apart from the check that is in the export: other lengths, other padding.
    model = load_model(tmp_path / "model").model
    ids = torch.arange(3 * 11).reshape(3, 11) % 40
    mask = torch.ones_like(ids)
    mask[1, 4:] = mask[2, 9:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    inputs = {key: inputs[key] for key in names(loaded)[0]}
    with torch.inference_mode():
        expected = model(**inputs)
    outputs = dict(zip(names(loaded)[1], run_onnx(file, **inputs), strict=True))
    for key in outputs.keys() & {*expected.keys()}:
        found, wanted = outputs[key], expected[key].numpy()
        if wanted.shape[:2] == mask.shape:
            # What a file has for padding is of no use.
            found, wanted = found[mask == 1], wanted[mask == 1]
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
    assert outputs.keys() & {*expected.keys()}


@pytest.mark.parametrize("name", FEW)
def test_int8_is_smaller_and_close(name: str, tmp_path: Path) -> None:
    kind = FEW[name]
    wide = {"num_hidden_layers": 1, "hidden_size": 128, "intermediate_size": 512}
    wide = {"n_embd": 128, "n_layer": 1} if name.startswith("GPT2") else wide
    base, _ = tokenizer_pair(kind.family)
    save_model(tmp_path / "model", kind.make(name, base, **wide), base)
    plain, int8, int4 = export_model(tmp_path / "model", tmp_path, ALL)
    assert (int8.runtime, int4.runtime) == ALL[1:]
    assert (tmp_path / int8.path).stat().st_size == int8.bytes
    assert plain.bytes / int8.bytes > 3
    assert int4.bytes < int8.bytes
    ids = torch.arange(2 * 9).reshape(2, 9) % 40
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["token_type_ids"] = torch.zeros_like(ids)
    inputs = {key: inputs[key] for key in names(onnx.load(tmp_path / plain.path))[0]}
    expected = run_onnx(tmp_path / plain.path, **inputs)
    for file, least in ((int8, 0.98), (int4, 0.95)):
        found = run_onnx(tmp_path / file.path, **inputs)
        for before, after in zip(expected, found, strict=True):
            cosine = (before * after).sum() / np.linalg.norm(before) / np.linalg.norm(after)
            assert cosine > least


def lookup_model(table: np.ndarray[Any, Any]) -> onnx.ModelProto:
    ids = onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["n"])
    out = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", table.shape[1]])
    node = onnx.helper.make_node("Gather", ["table", "ids"], ["out"])
    graph = onnx.helper.make_graph(
        [node], "g", [ids], [out], [numpy_helper.from_array(table, "table")]
    )
    opset = [onnx.helper.make_opsetid("", onnx_graph.OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


def test_each_row_of_a_table_has_steps_of_its_own() -> None:
    table = np.random.default_rng(0).normal(size=(100, 64)).astype(np.float32)
    table *= np.geomspace(0.001, 1000, 100, dtype=np.float32)[:, None]
    table[7] = 0
    model = lookup_model(table)
    replace_tables(model.graph, store_rows)
    assert model.ByteSize() < table.nbytes / 3
    ids = np.arange(100)
    (rows,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"ids": ids})
    steps = np.abs(table).max(axis=1, keepdims=True) / 127
    assert (np.abs(np.asarray(rows) - table) <= steps * 0.501).all()


@pytest.mark.parametrize("width", [64, 50])
def test_four_bits_are_looked_up_as_they_were_stored(width: int) -> None:
    table = np.random.default_rng(0).normal(size=(101, width)).astype(np.float32)
    model = lookup_model(table)
    quantize_weights(model)
    assert model.ByteSize() < table.nbytes / 3.5
    ids = np.array([100, 0, 7, 7])
    (rows,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"ids": ids})
    expected = quantize_blocks(torch.tensor(table), TABLE_MULTIPLIERS).weights().numpy()
    np.testing.assert_allclose(np.asarray(rows), expected[ids], rtol=1e-5)


def product_model(matrix: np.ndarray[Any, Any], operator: str) -> onnx.ModelProto:
    """A graph that multiplies by the same matrix twice."""
    form = onnx.helper.make_tensor_value_info
    put = form("x", onnx.TensorProto.FLOAT, ["n", matrix.shape[0]])
    outputs = [form(name, onnx.TensorProto.FLOAT, ["n", matrix.shape[1]]) for name in "ab"]
    nodes = [onnx.helper.make_node(operator, ["x", "matrix"], [name]) for name in "ab"]
    weights = [numpy_helper.from_array(matrix, "matrix")]
    graph = onnx.helper.make_graph(nodes, "g", [put], outputs, weights)
    opset = [onnx.helper.make_opsetid("", onnx_graph.OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
@pytest.mark.parametrize("shape", [(96, 70), (75, 64)])
def test_a_matrix_in_four_bits_multiplies_as_one_in_eight(
    operator: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=shape).astype(np.float32)
    model = product_model(matrix, operator)
    quantize_weights(model)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as-run.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    given = generator.normal(size=(9, shape[0])).astype(np.float32)
    by_rows = quantize_blocks(torch.tensor(matrix.T), MATRIX_MULTIPLIERS).weights().numpy()
    expected = given @ by_rows.T
    for found in session.run(None, {"x": given}):
        # Its inputs have steps of their range / 255.
        assert np.abs(np.asarray(found) - expected).max() < 0.02 * np.abs(expected).max()
    # What unpacks is done once, as the file is loaded.
    operators = {node.op_type for node in onnx.load(tmp_path / "as-run.onnx").graph.node}
    assert not operators & {"BitShift", "Concat", "Reshape", "Slice", "Transpose"}


def test_a_small_table_stays_as_it_is() -> None:
    model = lookup_model(np.ones((2, 64), np.float32))
    before = model.SerializeToString()
    replace_tables(model.graph, store_rows)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("kind", [k for k in KINDS if k.config in ENCODER_DECODERS][::2])
def test_an_encoder_decoder_is_refused(kind: Kind, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", kind, kind.classes[0])
    with pytest.raises(ExportUnsupportedError, match=f"A {kind.model_type} model"):
        export_model(folder, tmp_path, ["onnx"])


def test_what_no_onnx_file_holds_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(onnx_graph, "_MOST_BYTES", 1000)
    with pytest.raises(ExportUnsupportedError, match="holds up to 1,000"):
        export_model(saved(tmp_path / "model", KINDS[0], "BertModel"), tmp_path, ["onnx"])


def test_a_file_of_another_model_fails_the_check(tmp_path: Path) -> None:
    graph = Graph(load_model(saved(tmp_path, KINDS[0], "BertModel")))
    write_graph(graph, tmp_path / "model.onnx")
    row, run = RUNTIMES["onnx"].row, run_file(tmp_path / "model.onnx")
    assert check_same(row, run, graph, 64) < 1e-5
    table = graph.model.get_input_embeddings().weight
    table.data.neg_()
    with pytest.raises(ExportFailedError, match="last_hidden_state differ by"):
        check_same(row, run, graph, 64)


def test_a_sentence_encoder_is_exported_without_its_head(
    minilm: LoadedModel, tmp_path: Path
) -> None:
    base, _ = tokenizer_pair("wordpiece")
    folder = tmp_path / "model"
    save_model(folder, KINDS[0].make("BertForMaskedLM", base), base, minilm.folder)
    export_model(folder, folder, ["onnx"])
    outputs = names(onnx.load(folder / "onnx" / "model.onnx"))[1]
    assert outputs == ["last_hidden_state"]


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    base, _ = tokenizer_pair("wordpiece")
    save_model(tmp_path / "model", KINDS[0].make("BertModel", base).half(), base)
    export_model(tmp_path / "model", tmp_path, ["onnx"])
    (output,) = onnx.load(tmp_path / "onnx" / "model.onnx").graph.output
    assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_same_model_twice_is_the_same_file(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", KINDS[0], "BertModel")
    for name in ("a", "b"):
        export_model(folder, tmp_path / name, BOTH)
    for file in ("model.onnx", "model_int8.onnx"):
        first, second = ((tmp_path / name / "onnx" / file).read_bytes() for name in ("a", "b"))
        assert first == second
