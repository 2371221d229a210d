"""Quantize an ONNX file to eight bits: a scale a column of matrices, a scale a row of tables."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from app.contract.names import RuntimeName
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import longest_input
from worker.compression.runtimes.comparison import beside, check_sound
from worker.compression.runtimes.onnx import ONNX, Graph, OnnxEncoder, check_exportable, run_file
from worker.compression.runtimes.runtime import Runtime, memory_probe

_LARGEST = 127
# A table of fewer numbers is left as it is: it saves less than the operators around it take.
_FEWEST = 4096
Table = NDArray[np.float32]


@dataclass(frozen=True)
class TableFormat:
    """Says how an embedding table is stored, and how a row is looked up there.

    ``store`` returns the tensors that take the place of a table of this name, ``look_up`` the nodes
    in place of its ``Gather``. ``ir_version`` is the least version of ONNX that has these tensors,
    ``operators`` the domain of the nodes and its version, None for ONNX's own.
    """

    store: Callable[[str, Table], Iterator[TensorProto]]
    look_up: Callable[[onnx.NodeProto], list[onnx.NodeProto]]
    ir_version: int = 0
    operators: tuple[str, int] | None = None


def quantize(file: Path, quantized: Path, tables: TableFormat | None = None) -> None:
    """Write an ONNX file's weights in eight bits; activations are quantized as it runs.

    ONNX Runtime's dynamic quantization takes the matrices. Its own way with an embedding table, one
    scale for the whole table, is not used: the row with the largest number would set the steps of
    every token. ``tables`` says how they are stored, in int8 by row unless given. Matrices use
    seven of the eight bits: processors without VNNI add up pairs of products in 16 bits, and with
    eight the figures measured here would not hold there.
    """
    model = onnx.load(file)
    quantize_tables(model, tables or INT8_ROWS)
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


def quantize_tables(model: onnx.ModelProto, form: TableFormat) -> None:
    """Replace each lookup in a table of floats by one in what the form stores."""
    graph = model.graph
    tables = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    nodes, replaced = list[onnx.NodeProto](), set[str]()
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or not _is_table(node, table):
            nodes.append(node)
            continue
        nodes += form.look_up(node)
        replaced.add(table.name)
    for name in sorted(replaced):
        graph.initializer.extend(form.store(name, numpy_helper.to_array(tables[name])))
    _replace_nodes(graph, nodes)
    _drop_unused(graph, replaced)
    model.ir_version = max(model.ir_version, form.ir_version)
    if form.operators:
        model.opset_import.append(helper.make_opsetid(*form.operators))


def _is_table(node: onnx.NodeProto, table: TensorProto) -> bool:
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    return axis == 0 and len(table.dims) == 2 and int(np.prod(table.dims)) >= _FEWEST


def _rows(name: str, table: Table) -> Iterator[TensorProto]:
    scales = np.abs(table).max(axis=1, keepdims=True) / _LARGEST
    scales[scales == 0] = 1
    yield numpy_helper.from_array(np.round(table / scales).astype(np.int8), f"{name}_int8")
    yield numpy_helper.from_array(scales.astype(np.float32), f"{name}_scale")


def _lookup(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    table, ids, output = node.input[0], node.input[1], node.output[0]
    return [
        helper.make_node("Gather", [f"{table}_int8", ids], [f"{output}_int8"]),
        helper.make_node("Cast", [f"{output}_int8"], [f"{output}_float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{table}_scale", ids], [f"{output}_scale"]),
        helper.make_node("Mul", [f"{output}_float", f"{output}_scale"], [output]),
    ]


INT8_ROWS = TableFormat(_rows, _lookup)


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)


def _drop_unused(graph: onnx.GraphProto, names: set[str]) -> None:
    """Drop tables that nothing reads any more; a tied one is the matrix of a head, too."""
    unused = names - {name for node in graph.node for name in node.input}
    kept = [table for table in graph.initializer if table.name not in unused]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _write(_: LoadedModel, file: Path) -> None:
    """Quantize the ONNX file that lies beside."""
    quantize(beside(file, ONNX.row), file)


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
