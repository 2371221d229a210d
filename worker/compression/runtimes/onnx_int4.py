"""Store the weights of an ONNX file in four bits: more words and layers for the same bytes.

Nodes of ONNX unpack each weight to eight bits. All that they read is constant, so a runtime does
it once, as it loads the file, and then computes as it does with a file in int8.
docs/decisions/0026-four-bits-for-all-weights.md says what that keeps.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel

from worker.compression.four_bits import (
    BLOCK,
    FEWEST,
    MATRIX_MULTIPLIERS,
    TABLE_MULTIPLIERS,
    Blocks,
    quantize_blocks,
)
from worker.compression.models.loading import LoadedModel
from worker.compression.runtimes.comparison import beside
from worker.compression.runtimes.onnx import ONNX, OnnxEncoder, check_exportable
from worker.compression.runtimes.onnx_int8 import (
    Stored,
    Weights,
    check_quantized,
    replace_tables,
    replace_weights,
)
from worker.compression.runtimes.runtime import Runtime, memory_probe

_ZERO = 8
"""The number that stands for 0 in four bits without a sign."""


def quantize_weights(model: onnx.ModelProto) -> None:
    """Store tables that are looked up and matrices that are multiplied by in four bits.

    What is multiplied by a matrix is quantized to eight bits as the file runs.
    """
    replace_tables(model.graph, _store_table)
    ONNXModel(model).replace_gemm_with_matmul()
    replace_weights(model.graph, _matrix_of, _product_nodes(), _store_matrix)


def _store_table(name: str, table: Weights) -> Stored:
    """Store a table as one in int8 is read: numbers (rows, width), and the scale of each row."""
    blocks = quantize_blocks(torch.tensor(table), TABLE_MULTIPLIERS)
    packed = _pack(name, blocks, "int8")
    scale = numpy_helper.from_array(blocks.scales.numpy(), f"{name}_scale")
    return Stored([*packed.tensors, scale], packed.nodes)


def _store_matrix(name: str, matrix: Weights) -> Stored:
    """Store a matrix (inputs, outputs), with a scale for each output."""
    blocks = quantize_blocks(torch.tensor(matrix.T), MATRIX_MULTIPLIERS)
    packed = _pack(name, blocks, "by_output")
    scale = numpy_helper.from_array(blocks.scales[:, 0].numpy(), f"{name}_scale")
    turn = helper.make_node("Transpose", [f"{name}_by_output"], [f"{name}_int8"], perm=[1, 0])
    return Stored([*packed.tensors, scale], [*packed.nodes, turn])


def _pack(name: str, stored: Blocks, output: str) -> Stored:
    """Return numbers and multipliers, and the nodes that make int8 (rows, width) of them.

    A byte has two numbers of a row: the lower half one of the row's first half, the upper one the
    number as far into the second.
    """
    rows, blocks = stored.multipliers.shape
    numbers = (stored.numbers.flatten(1).numpy() + _ZERO).astype(np.uint8)
    half = blocks * BLOCK // 2
    constants = {
        "packed": numbers[:, :half] | (numbers[:, half:] << 4),
        "multipliers": stored.multipliers[..., None].numpy(),
        "sixteen": np.array(16, dtype=np.uint8),
        "sixteenth": np.array(1 / 16, dtype=np.float32),
        "zero": np.array(_ZERO, dtype=np.float32),
        "blocks": np.array([rows, blocks, BLOCK]),
        "rows": np.array([rows, blocks * BLOCK]),
        "first": np.array([0]),
        "width": np.array([stored.width]),
        "axis": np.array([1]),
    }

    def node(operator: str, inputs: list[str], result: str, **attributes: Any) -> onnx.NodeProto:
        named = [f"{name}_{one}" for one in inputs]
        return helper.make_node(operator, named, [f"{name}_{result}"], **attributes)

    nodes = [
        # No shifts: OpenVINO rounds in one to the right, and cuts off what overflows in one to the
        # left, where ONNX drops the upper bits.
        node("Mod", ["packed", "sixteen"], "remainder"),
        node("Cast", ["remainder"], "lower", to=TensorProto.FLOAT),
        node("Cast", ["packed"], "both", to=TensorProto.FLOAT),
        node("Sub", ["both", "lower"], "sixteens"),
        node("Mul", ["sixteens", "sixteenth"], "upper"),
        node("Concat", ["lower", "upper"], "unsigned", axis=1),
        node("Sub", ["unsigned", "zero"], "numbers"),
        node("Reshape", ["numbers", "blocks"], "in_blocks"),
        node("Cast", ["multipliers"], "factors", to=TensorProto.FLOAT),
        node("Mul", ["in_blocks", "factors"], "products"),
        node("Reshape", ["products", "rows"], "padded"),
        node("Slice", ["padded", "first", "width", "axis"], "whole"),
        node("Cast", ["whole"], output, to=TensorProto.INT8),
    ]
    tensors = [numpy_helper.from_array(value, f"{name}_{key}") for key, value in constants.items()]
    return Stored(tensors, nodes)


def _matrix_of(node: onnx.NodeProto, weights: dict[str, TensorProto]) -> str | None:
    """Return the name of the constant matrix that a node multiplies by, if it is large enough."""
    matrix = weights.get(node.input[1]) if node.op_type == "MatMul" else None
    if matrix is None or len(matrix.dims) != 2 or int(np.prod(matrix.dims)) < FEWEST:
        return None
    return matrix.name


def _product_nodes() -> Callable[[onnx.NodeProto], list[onnx.NodeProto]]:
    """Return what makes the nodes in place of a product; it quantizes each of the inputs once."""
    quantized = set[str]()

    def multiply(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        (left, matrix), (output,) = node.input, node.output
        numbers, scale, zero = (f"{left}_{part}" for part in ("uint8", "scale", "zero"))
        sum_, floats, scales = (f"{output}_{part}" for part in ("int32", "float", "scale"))
        nodes = [
            helper.make_node("MatMulInteger", [numbers, f"{matrix}_int8", zero], [sum_]),
            helper.make_node("Cast", [sum_], [floats], to=TensorProto.FLOAT),
            helper.make_node("Mul", [scale, f"{matrix}_scale"], [scales]),
            helper.make_node("Mul", [floats, scales], [output]),
        ]
        if left not in quantized:
            quantized.add(left)
            outputs = [numbers, scale, zero]
            nodes.insert(0, helper.make_node("DynamicQuantizeLinear", [left], outputs))
        return nodes

    return multiply


def _write(_: LoadedModel, file: Path) -> None:
    """Quantize the ONNX file that lies beside."""
    model = onnx.load(beside(file, ONNX.row))
    quantize_weights(model)
    onnx.save(model, file)


def _check(loaded: LoadedModel, file: Path) -> None:
    check_quantized(ONNX_INT4.row, loaded, file)


ONNX_INT4 = Runtime(
    "onnx-int4",
    encoder=OnnxEncoder,
    write=_write,
    check=_check,
    check_model=check_exportable,
    probe=lambda file, folder: memory_probe("onnx", file, folder),
)
