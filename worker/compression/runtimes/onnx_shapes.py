"""Watch the shapes of a traced graph, and write down those that do not change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Shape = tuple[int, ...]
# Texts and tokens of the runs. No other size of a model is likely to be both of a place's.
RUNS: tuple[Shape, ...] = ((3, 7), (5, 11))


@dataclass(frozen=True)
class Observed:
    """Holds, by the names of tensors, their shapes in each of the `RUNS`, and constants."""

    shapes: dict[str, tuple[Shape, ...]]
    constants: dict[str, NDArray[np.generic]]

    def tail(self, name: str, rank: int) -> Shape | None:
        """Return the sizes after texts and tokens of a tensor of a rank, None of any other."""
        return self._after(name, rank, RUNS)

    def tail_of_all(self, name: str, rank: int) -> Shape | None:
        """Return the sizes after tokens of a tensor that all texts share, (1, tokens, …)."""
        return self._after(name, rank, [(1, length) for _, length in RUNS])

    def _after(self, name: str, rank: int, starts: Sequence[Shape]) -> Shape | None:
        shapes = self.shapes.get(name, ())
        pairs = list(zip(shapes, starts, strict=False))
        if not pairs or any(len(shape) != rank or shape[:2] != start for shape, start in pairs):
            return None
        return shapes[0][2:] if len({shape[2:] for shape in shapes}) == 1 else None


def observe(model: onnx.ModelProto) -> Observed:
    """Run a graph on inputs of several shapes and return those of all its tensors."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    names = [name for node in model.graph.node for name in node.output if name]
    session = _exposed(model, names)
    runs = []
    for run in RUNS:
        ones = np.ones(run, np.int64)
        inputs = {one.name: ones for one in session.get_inputs()}
        runs.append([getattr(value, "shape", None) for value in session.run(names, inputs)])
    shapes: dict[str, tuple[Shape, ...]] = {one.name: RUNS for one in model.graph.input}
    for name, *found in zip(names, *runs, strict=True):
        if None not in found:
            shapes[name] = tuple(found)
    return Observed(shapes, constants)


def _exposed(model: onnx.ModelProto, names: Sequence[str]) -> onnxruntime.InferenceSession:
    """Return a session that runs a graph as it is written and puts out tensors of some names."""
    outputs = [*model.graph.output]
    try:
        del model.graph.output[:]
        model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
        written = model.SerializeToString()
    finally:
        del model.graph.output[:]
        model.graph.output.extend(outputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])


def fix_reshapes(graph: onnx.GraphProto, observed: Observed) -> None:
    """Give each reshaping its sizes as constants where they are, or are those of its input."""
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] not in observed.constants:
            sizes = _sizes(observed.shapes.get(node.input[0]), observed.shapes.get(node.output[0]))
            if sizes is not None:
                name = f"{node.output[0]}_sizes"
                graph.initializer.append(numpy_helper.from_array(np.array(sizes), name))
                node.input[1] = name
                del node.attribute[:]
    drop_unused(graph)


def _sizes(before: Sequence[Shape] | None, after: Sequence[Shape] | None) -> list[int] | None:
    """Return what reshapes one shape to the other in each run: 0 takes a size of the input's."""
    if not before or not after or len({len(shape) for shape in after}) > 1:
        return None
    sizes = []
    for place, found in enumerate(zip(*after, strict=True)):
        own = [shape[place] if place < len(shape) else None for shape in before]
        if len(set(found)) == 1 and found[0]:
            sizes.append(found[0])
        else:
            sizes.append(0 if [*found] == own else -1)
    return sizes if sizes.count(-1) <= 1 else None


def drop_unused(graph: onnx.GraphProto) -> None:
    """Drop nodes and weights whose results nothing reads."""
    needed, kept = {output.name for output in graph.output}, list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if needed & {*node.output}:
            kept.append(node)
            needed |= {*node.input} | _captured(node)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)


def _captured(node: onnx.NodeProto) -> set[str]:
    """Return what the graphs within a node read of the graph around it."""
    graphs: Iterable[onnx.GraphProto] = (a.g for a in node.attribute if a.HasField("g"))
    return {
        name
        for graph in graphs
        for inner in graph.node
        for name in {*inner.input, *(o.name for o in graph.output)} | _captured(inner)
    }
