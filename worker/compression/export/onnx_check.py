"""Whether an ONNX file does what the model does that it was made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from worker.compression.errors import ExportFailedError
from worker.compression.export.onnx_graph import Graph

Array = NDArray[np.float32]

_SHAPES = ((1, 1), (1, 7), (5, 3), (2, 33))
"""Texts and tokens; a graph that has one of the numbers it was traced with built in fails one."""
_TOLERANCE = 1e-3


def check_same(file: Path, graph: Graph, longest: int) -> float:
    """Run file and model on several shapes up to the longest input; returns the largest difference.

    It is relative to the largest output.

    Raises:
        ExportFailedError: they differ.

    """
    worst = 0.0
    for inputs, outputs in _both(file, graph, longest):
        for name, (ours, theirs) in outputs.items():
            differs = _difference(ours, theirs)
            worst = max(worst, differs)
            if not differs <= _TOLERANCE:
                raise ExportFailedError(
                    f"The ONNX file is not the model: for inputs of {inputs} its {name} differ by "
                    f"{differs:.2g} of the largest. Leave `export` out, and tell us of the model."
                )
    return worst


def check_sound(file: Path, graph: Graph, longest: int) -> None:
    """Run a quantized file on several shapes.

    Raises:
        ExportFailedError: its outputs are not finite, or not of the model's shapes.

    """
    for inputs, outputs in _both(file, graph, longest):
        for name, (ours, theirs) in outputs.items():
            if ours.shape != theirs.shape or not np.isfinite(ours).all():
                raise ExportFailedError(
                    f"The int8 ONNX file is not sound: for inputs of {inputs} its {name} are not "
                    "finite numbers, or too few. Leave `export.int8` out, and tell us of the model."
                )


def _both(file: Path, graph: Graph, longest: int) -> Any:
    """Yield the shape of inputs with, by their names, the outputs of the file and of the model."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    shapes: Sequence[tuple[int, int]] = [(n, min(length, longest)) for n, length in _SHAPES]
    for texts, length in [*shapes, (1, min(longest, 512))]:
        tensors = graph.example(texts, length)[: len(graph.inputs)]
        with torch.inference_mode():
            theirs = [tensor.numpy() for tensor in graph(*tensors)]
        given = {name: t.numpy() for name, t in zip(graph.inputs, tensors, strict=True)}
        ours = session.run(graph.outputs, given)
        pairs = dict(zip(graph.outputs, zip(ours, theirs, strict=True), strict=True))
        yield f"{texts} x {length}", pairs


def _difference(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(theirs).max())))
