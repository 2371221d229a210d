"""Compute the tokens of a graph without the padding, where each is computed by itself.

A batch of texts is as long as its longest text. In attention alone a token meets others; matrices,
norms and activations take each by itself, and padding costs there as much as text does.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from worker.compression.runtimes.onnx_shapes import Observed, drop_unused

_MASK = "attention_mask"
_TOKENS, _PLACES, _COLUMNS, _FLAT = "kept_tokens", "kept_places", "kept_columns", "any_length"
_RANK = 3
_BY_NUMBER = {
    *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Erf", "Tanh", "Relu", "Sigmoid", "Neg", "Abs"),
    *("Exp", "Reciprocal", "Max", "Min", "Clip", "Gelu", "HardSwish", "Softplus", "Identity"),
}


def pack(graph: onnx.GraphProto, observed: Observed) -> bool:
    """Rewrite a graph so that what is computed token by token leaves the padding out.

    Tensors (texts, tokens, width) become (tokens of all texts, width) there. Where the graph leads
    on to something else they are laid out again: padding gets the numbers of the token before it.
    Returns whether there was anything to rewrite.
    """
    alone = {node.output[0] for node in graph.node if _is_by_token(node, observed)}
    products = (n for n in graph.node if n.op_type == "MatMul" and n.output[0] in alone)
    if _MASK not in {one.name for one in graph.input} or not any(products):
        return False
    packing = _Packing(graph, observed, alone)
    del graph.node[:]
    graph.node.extend(packing.nodes)
    graph.initializer.extend(packing.constants.values())
    drop_unused(graph)
    return True


def _is_by_token(node: onnx.NodeProto, observed: Observed) -> bool:
    """Tell whether a node computes floats (texts, tokens, width), each token from its own."""
    if len(node.output) > 1 or observed.tail(node.output[0], _RANK) is None:
        return False
    first, *others = node.input
    weights = [observed.constants[name] for name in others if name in observed.constants]
    is_weighted = observed.tail(first, _RANK) is not None and len(weights) == len(others)
    if node.op_type == "Gather":
        ids = observed.tail(others[0], _RANK - 1)
        return _axis(node, 0) == 0 and first in observed.constants and ids == ()
    if node.op_type == "MatMul":
        return is_weighted and weights[0].ndim == _RANK - 1
    if node.op_type == "LayerNormalization":
        return is_weighted and _axis(node, -1) == -1
    return node.op_type in _BY_NUMBER and all(_is_along(n, observed) for n in node.input if n)


def _axis(node: onnx.NodeProto, default: int) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), default)


def _is_along(name: str, observed: Observed) -> bool:
    """Tell whether an input has numbers for each token, or the same for all of them."""
    constant = observed.constants.get(name)
    if constant is not None:
        return constant.ndim <= _RANK - 2
    either = observed.tail(name, _RANK), observed.tail_of_all(name, _RANK)
    return either != (None, None)


class _Packing:
    """Collects the nodes of a packed graph."""

    def __init__(self, graph: onnx.GraphProto, observed: Observed, alone: set[str]) -> None:
        self.nodes = list[onnx.NodeProto]()
        self.constants = dict[str, onnx.TensorProto]()
        self._observed = observed
        self._packed = dict[str, str]()
        self._laid_out = set[str]()
        self._alone = alone
        self._index()
        for node in graph.node:
            if node.output[0] in alone:
                self._add_packed(node)
            else:
                self._add(node)
        for output in graph.output:
            self._lay_out(output.name)

    def _constant(self, name: str, value: object) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.array(value), name))
        return name

    def _node(self, operator: str, inputs: list[str], output: str) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output]))
        return output

    def _index(self) -> None:
        """Number the tokens: which are kept, where each place of the batch finds its own.

        The first is kept in any case: a batch of nothing but padding has none, and still runs.
        """
        flat, axis = self._constant(_FLAT, [-1]), self._constant("first_axis", 0)
        mask = self._node("Reshape", [_MASK, flat], "flat_mask")
        first, kept = self._constant("first_place", [0]), self._constant("kept_once", [1])
        mask = self._node("ScatterElements", [mask, first, kept], "mask_and_first")
        kept = self._node("NonZero", [mask], "kept_by_axis")
        self._node("Reshape", [kept, flat], _TOKENS)
        number = self._node("CumSum", [mask, axis], "kept_before")
        number = self._node("Sub", [number, self._constant("one", 1)], "flat_places")
        shape = self._node("Shape", [_MASK], "batch_shape")
        self._node("Reshape", [number, shape], _PLACES)
        length = self._node("Gather", [shape, self._constant("one", 1)], "batch_length")
        self._node("Mod", [_TOKENS, length], _COLUMNS)

    def _add_packed(self, node: onnx.NodeProto) -> None:
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        for place, name in enumerate(node.input):
            if name and name not in self._observed.constants:
                copied.input[place] = self._pack(name)
        copied.output[0] = self._packed[node.output[0]] = f"{node.output[0]}_kept"
        self.nodes.append(copied)

    def _pack(self, name: str) -> str:
        """Return the name of a tensor's numbers for the kept tokens."""
        if name in self._packed:
            return self._packed[name]
        shared = self._observed.tail_of_all(name, _RANK)
        width = shared if shared is not None else self._observed.shapes[name][0][2:]
        sizes = self._constant("_".join(["any", *map(str, width)]), [-1, *width])
        flat = self._node("Reshape", [name, sizes], f"{name}_flat")
        rows = _TOKENS if shared is None else _COLUMNS
        self._packed[name] = self._node("Gather", [flat, rows], f"{name}_kept")
        return self._packed[name]

    def _add(self, node: onnx.NodeProto) -> None:
        for name in node.input:
            self._lay_out(name)
        self.nodes.append(node)

    def _lay_out(self, name: str) -> None:
        """Make the tensor of a name (texts, tokens, width) of the kept tokens' numbers."""
        if name in self._alone and name not in self._laid_out:
            self._laid_out.add(name)
            self._node("Gather", [self._packed[name], _PLACES], name)
