"""Run an exported graph beside the model it was made of, on inputs of several shapes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.contract.names import RuntimeName
from worker.compression.errors import ExportFailedError

Array = NDArray[np.float32]
Mask = NDArray[np.int64]
Run = Callable[[Mapping[str, NDArray[np.int64]]], Sequence[Array]]
"""Runs a file on arrays by the names of its inputs; returns its outputs in their order."""

# Texts and tokens; a graph that has one of the numbers it was traced with built in fails one.
_SHAPES = ((1, 1), (1, 7), (5, 3), (2, 33))
LONGEST = 512
# Of the largest output.
_TOLERANCE = 1e-3


class Model(Protocol):
    """Computes what the graph of a file should: `worker.compression.runtimes.onnx.Graph` does."""

    inputs: list[str]
    outputs: list[str]

    def example(self, texts: int, length: int) -> tuple[Tensor, ...]: ...

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]: ...


def check_same(row: RuntimeName, run: Run, model: Model, longest: int) -> float:
    """Run file and model on several shapes up to the longest input; returns the largest difference.

    It is relative to the largest output. What either has for padding does not count.

    Raises:
        ExportFailedError: they differ.

    """
    worst = 0.0
    for mask, name, exported, expected in _outputs(run, model, longest):
        differs = difference(exported, expected, mask)
        worst = max(worst, differs)
        if not differs <= _TOLERANCE:
            raise ExportFailedError(
                f"The {row.label} file is not the model: for inputs of {_shape(mask)} its {name} "
                f"differ by {differs:.2g} of the largest. {_otherwise(row)}"
            )
    return worst


def check_sound(row: RuntimeName, run: Run, model: Model, longest: int) -> None:
    """Run a quantized file on several shapes.

    Raises:
        ExportFailedError: its outputs are not finite, or not of the model's shapes.

    """
    for mask, name, exported, expected in _outputs(run, model, longest):
        if exported.shape != expected.shape or not np.isfinite(exported).all():
            raise ExportFailedError(
                f"The {row.label} file is not sound: for inputs of {_shape(mask)} its {name} are "
                f"not finite numbers, or too few. {_otherwise(row)}"
            )


def _otherwise(row: RuntimeName) -> str:
    return f"Leave `export.{row.field}` out, and tell us of the model."


def _outputs(run: Run, model: Model, longest: int) -> Iterator[tuple[Mask, str, Array, Array]]:
    """Yield the mask of the inputs, and name and numbers of each output, the file's first."""
    shapes = [(texts, min(length, longest)) for texts, length in _SHAPES]
    for texts, length in [*shapes, (1, min(longest, LONGEST))]:
        tensors = model.example(texts, length)[: len(model.inputs)]
        with torch.inference_mode():
            expected = [tensor.numpy() for tensor in model(*tensors)]
        inputs = {name: t.numpy() for name, t in zip(model.inputs, tensors, strict=True)}
        for name, found, wanted in zip(model.outputs, run(inputs), expected, strict=True):
            yield inputs["attention_mask"], name, found, wanted


def _shape(mask: Mask) -> str:
    return f"{mask.shape[0]} x {mask.shape[1]}"


def difference(found: Array, expected: Array, mask: Mask) -> float:
    """Return how far outputs are apart, of the largest; of those by token, without the padding."""
    if found.shape != expected.shape:
        return float("inf")
    if expected.shape[:2] == mask.shape:
        found, expected = found[mask != 0], expected[mask != 0]
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))


def beside(file: Path, row: RuntimeName) -> Path:
    """Return the file of another runtime that lies in the same folder."""
    return file.with_name(Path(row.path).name)
