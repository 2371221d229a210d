"""Make the few channels small that are far larger than all others, before a graph is quantized.

What a matrix reads is quantized with one scale for all of it as the file runs, so a channel ten
times as large as the others costs them nine of ten steps. Here it is divided beforehand, and the
matrix's row multiplied: the product is the same. SmoothQuant (Xiao et al., ICML 2023) does so with
all channels, which costs the weights more than it gains where some tokens alone are large.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel

Arrays = Mapping[str, NDArray[np.int64]]
Numbers = NDArray[np.float32]

# Texts of tokens at random: what makes a channel large is in the weights and the special tokens.
_TEXTS, _TOKENS = 24, 32
# A channel may be as large as so many times the median one's largest number.
_LARGEST = 4.0
# What is less above it is left as it is: a node more takes its time.
_WORTH = 1.5


def smooth(model: onnx.ModelProto, loaded: LoadedModel) -> None:
    """Divide the large channels of what matrices read, in a graph of a loaded model."""
    ONNXModel(model).replace_gemm_with_matmul()
    read = _matrices_by_input(model.graph)
    peaks = _peaks(model, list(read), _inputs(loaded))
    for name, peak in peaks.items():
        most = _LARGEST * float(np.median(peak))
        if 0 < most * _WORTH < float(peak.max()):
            _divide(model.graph, name, read[name], np.maximum(peak / most, 1))


def _matrices_by_input(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the products with a constant matrix by what they read, if no other reads a matrix."""
    constants = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 2}
    readers = defaultdict[str, int](int)
    for node in graph.node:
        for name in node.input:
            readers[name] += 1
    found = defaultdict[str, list[onnx.NodeProto]](list)
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            found[node.input[0]].append(node)
    return {
        name: nodes
        for name, nodes in found.items()
        if all(readers[node.input[1]] == 1 for node in nodes)
    }


def _peaks(
    model: onnx.ModelProto, names: Sequence[str], inputs: Sequence[Arrays]
) -> dict[str, Numbers]:
    """Return the largest magnitude of each channel of some tensors (…, channels)."""
    outputs = model.graph.output
    own = [output.name for output in outputs]
    outputs.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names
        if name not in own
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    del outputs[len(own) :]
    given = [node.name for node in session.get_inputs()]
    peaks: dict[str, Numbers] = {}
    for one in inputs:
        found = session.run(list(names), {name: one[name] for name in given})
        for name, tensor in zip(names, found, strict=True):
            peak = np.abs(tensor).reshape(-1, tensor.shape[-1]).max(axis=0)
            peaks[name] = np.maximum(peaks[name], peak) if name in peaks else peak
    return peaks


def _inputs(loaded: LoadedModel) -> list[Arrays]:
    """Return the inputs of texts of random tokens, each alone."""
    encoder = Encoder(loaded)
    inputs = (encoder.inputs([text])["input_ids"] for text in _texts(encoder.tokenizer))
    arrays = [ids.cpu().numpy() for ids in inputs if ids.numel()]
    return [
        {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        for ids in arrays
    ]


def _texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    special = {*tokenizer.all_special_ids}
    ids = [i for i in range(len(tokenizer)) if i not in special]
    draw = random.Random(0)  # noqa: S311
    return [str(tokenizer.decode(draw.choices(ids, k=_TOKENS))) for _ in range(_TEXTS)]


def _divide(
    graph: onnx.GraphProto, name: str, products: Sequence[onnx.NodeProto], by: Numbers
) -> None:
    """Divide the channels of what some products read, and multiply the rows of their matrices."""
    smooth, share = f"{name}_smooth", f"{name}_share"
    graph.initializer.append(numpy_helper.from_array((1 / by).astype(np.float32), share))
    first = next(place for place, node in enumerate(graph.node) if node in products)
    graph.node.insert(first, helper.make_node("Mul", [name, share], [smooth]))
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in products:
        matrix = tensors[node.input[1]]
        rows = numpy_helper.to_array(matrix) * by[:, None]
        matrix.CopyFrom(numpy_helper.from_array(rows.astype(np.float32), matrix.name))
        node.input[0] = smooth
