"""Quantize an ONNX file to eight bits: a scale a column of matrices, a scale a row of tables."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from app.contract.names import RuntimeName
from worker.compression.four_bits import FEWEST
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import longest_input
from worker.compression.runtimes.comparison import beside, check_sound
from worker.compression.runtimes.onnx import ONNX, Graph, OnnxEncoder, check_exportable, run_file
from worker.compression.runtimes.onnx_shapes import drop_unused
from worker.compression.runtimes.onnx_smoothing import smooth
from worker.compression.runtimes.runtime import Runtime, memory_probe

_LARGEST = 127
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Stored:
    """Holds what takes the place of a weight: tensors, and nodes that make others of these."""

    tensors: list[TensorProto]
    nodes: list[onnx.NodeProto] = field(default_factory=list)


def quantize(loaded: LoadedModel, file: Path, quantized: Path) -> None:
    """Write an ONNX file's weights in eight bits; activations are quantized as it runs.

    ONNX Runtime's dynamic quantization takes the matrices. Its own way with an embedding table, one
    scale for the whole table, is not used: the row with the largest number would set the steps of
    every token. Matrices use seven of the eight bits: processors without VNNI add up pairs of
    products in 16 bits, and with eight the figures measured here would not hold there.
    """
    model = onnx.load(file)
    smooth(model, loaded)
    replace_tables(model.graph, store_rows)
    add_pre_process_metadata(model)
    with tempfile.NamedTemporaryFile(suffix=".onnx", dir=quantized.parent) as scratch:
        onnx.save(model, scratch.name)
        quantize_dynamic(
            scratch.name,
            quantized,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )


def replace_tables(graph: onnx.GraphProto, store: Callable[[str, Weights], Stored]) -> None:
    """Replace each lookup in a table of floats by one in int8.

    ``store`` returns, for a table of a name, `NAME_int8` (rows, width) and `NAME_scale` (rows, 1).
    """
    replace_weights(graph, _table_of, _look_up, store)


def replace_weights(
    graph: onnx.GraphProto,
    weight_of: Callable[[onnx.NodeProto, dict[str, TensorProto]], str | None],
    read: Callable[[onnx.NodeProto], list[onnx.NodeProto]],
    store: Callable[[str, Weights], Stored],
) -> None:
    """Store weights of floats in another form, and replace the nodes that read them.

    ``weight_of`` returns the name of the weight that a node reads and that is to be replaced, or
    None; ``read`` the nodes in its place, ``store`` what these find.
    """
    weights = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    nodes, replaced = list[onnx.NodeProto](), set[str]()
    for node in graph.node:
        name = weight_of(node, weights)
        if name is None:
            nodes.append(node)
        else:
            nodes += read(node)
            replaced.add(name)
    stored = [store(name, numpy_helper.to_array(weights[name])) for name in sorted(replaced)]
    graph.initializer.extend(tensor for one in stored for tensor in one.tensors)
    del graph.node[:]
    graph.node.extend([*(node for one in stored for node in one.nodes), *nodes])
    # A tied table is the matrix of a head, too, and stays.
    drop_unused(graph)


def _table_of(node: onnx.NodeProto, weights: dict[str, TensorProto]) -> str | None:
    """Return the name of the table whose rows a node looks up, if it is large enough."""
    table = weights.get(node.input[0]) if node.op_type == "Gather" else None
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    if table is None or axis != 0 or len(table.dims) != 2 or int(np.prod(table.dims)) < FEWEST:
        return None
    return table.name


def store_rows(name: str, table: Weights) -> Stored:
    """Store a table in int8, with a scale for each row."""
    scales = np.abs(table).max(axis=1, keepdims=True) / _LARGEST
    scales[scales == 0] = 1
    numbers = np.round(table / scales).astype(np.int8)
    return Stored(
        [
            numpy_helper.from_array(numbers, f"{name}_int8"),
            numpy_helper.from_array(scales.astype(np.float32), f"{name}_scale"),
        ]
    )


def _look_up(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    table, ids, output = node.input[0], node.input[1], node.output[0]
    return [
        helper.make_node("Gather", [f"{table}_int8", ids], [f"{output}_int8"]),
        helper.make_node("Cast", [f"{output}_int8"], [f"{output}_float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{table}_scale", ids], [f"{output}_scale"]),
        helper.make_node("Mul", [f"{output}_float", f"{output}_scale"], [output]),
    ]


def _write(loaded: LoadedModel, file: Path) -> None:
    """Quantize the ONNX file that lies beside."""
    quantize(loaded, beside(file, ONNX.row), file)


def check_quantized(row: RuntimeName, loaded: LoadedModel, file: Path) -> None:
    """Run a quantized file; raises `ExportFailedError` where it is not sound."""
    check_sound(row, run_file(file), Graph(loaded), longest_input(loaded))


def _check(loaded: LoadedModel, file: Path) -> None:
    check_quantized(ONNX_INT8.row, loaded, file)


ONNX_INT8 = Runtime(
    "onnx-int8",
    encoder=OnnxEncoder,
    write=_write,
    check=_check,
    check_model=check_exportable,
    probe=lambda file, folder: memory_probe("onnx", file, folder),
)
