"""Write a model as OpenVINO's IR, in float32 and quantized by NNCF, and run it on the CPU.

The files lie where sentence-transformers and optimum-intel look for them. Both libraries are of the
extra `openvino`; a worker without them has neither runtime.
"""

import contextlib
import logging
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import longest_input
from worker.compression.progress import Progress, part
from worker.compression.recovery.data import sample_texts
from worker.compression.runtimes.comparison import Run, beside, check_same, check_sound
from worker.compression.runtimes.onnx import Graph, GraphEncoder, check_exportable, write_graph
from worker.compression.runtimes.runtime import Runtime, Teaching, memory_probe

# Texts that activations are measured on, and the tokens of each at most.
_CALIBRATION, _LONGEST = 128, 256
# About as often NNCF reads them all: for its smoothing, for the ranges, for the biases.
_PASSES = 3
_TELEMETRY = "openvino_telemetry"


def import_library(name: str) -> Any:
    """Import OpenVINO or NNCF without their telemetry.

    Both send events to a third party unless their user has refused, OpenVINO when it is imported.
    Without the package for it they send none.
    """
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    return import_module(name)


def compile_file(file: Path, **properties: Any) -> Any:
    """Return a file compiled for the CPU, with as many threads as PyTorch has there.

    Unless said otherwise OpenVINO chooses the numbers it computes in: bfloat16 where the processor
    has AMX.
    """
    core = import_library("openvino").Core()
    own = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        # Threads tied to processors would stand in the way of what is timed in turn with them.
        "ENABLE_CPU_PINNING": False,
    }
    return core.compile_model(str(file), "CPU", {**own, **properties})


class OpenVinoEncoder(GraphEncoder):
    """Runs an OpenVINO file."""

    def __init__(self, loaded: LoadedModel, file: Path) -> None:
        super().__init__(loaded)
        compiled = compile_file(file)
        self._request = compiled.create_infer_request()
        self.graph_inputs = [node.any_name for node in compiled.inputs]
        self.graph_outputs = [node.any_name for node in compiled.outputs]
        self.precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()

    @property
    def computes_in(self) -> str | None:
        """Return the type that OpenVINO chose to compute in, where that is not the file's."""
        return {"bf16": "bfloat16", "f16": "float16"}.get(self.precision)

    def compute(self, arrays: dict[str, NDArray[np.int64]], output: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._request.infer(arrays)[output]
        return found


def write_openvino(loaded: LoadedModel, file: Path) -> None:
    """Write the model's graph: traced to ONNX, as for ONNX Runtime, and read by OpenVINO."""
    openvino = import_library("openvino")
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        traced = Path(folder, "model.onnx")
        write_graph(Graph(loaded), traced)
        model = openvino.Core().read_model(str(traced))
        openvino.save_model(model, str(file), compress_to_fp16=False)


def calibration_inputs(
    loaded: LoadedModel, teaching: Teaching, progress: Progress
) -> list[dict[str, NDArray[np.int64]]]:
    """Return the inputs of some texts of training, each alone, as the model's program reads them.

    A cross-encoder reads pairs of them.
    """
    texts = sample_texts(teaching.texts, teaching.seed, progress)
    chosen = random.Random(teaching.seed).sample(texts, min(_CALIBRATION, len(texts)))  # noqa: S311
    encoder = Encoder(loaded)
    encoder.max_length = min(encoder.max_length, _LONGEST)
    if encoder.traits.is_cross_encoder:
        following = [*chosen[1:], chosen[0]]
        inputs = [encoder.pair_inputs([pair]) for pair in zip(chosen, following, strict=True)]
    else:
        inputs = [encoder.inputs([encoder.prompt + text]) for text in chosen]
    names = Graph(loaded).inputs
    whole = ({"token_type_ids": torch.zeros_like(one["input_ids"]), **one} for one in inputs)
    return [{name: one[name].cpu().numpy() for name in names} for one in whole]


def quantize(
    plain: Path, file: Path, inputs: Sequence[Mapping[str, Any]], progress: Progress
) -> None:
    """Write a file with weights and activations in eight bits, for the ranges that inputs show.

    Matrices use seven of the eight bits, as those of ONNX int8 do: without VNNI a processor adds up
    pairs of products in 16 bits, and what overflows there is cut off without a word.
    """
    openvino, nncf = import_library("openvino"), import_library("nncf")
    nncf.set_log_level(logging.ERROR)
    read = 0

    def told(one: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal read
        read += 1
        progress(min(1.0, read / len(inputs) / _PASSES), "measuring activations")
        return one

    # NNCF draws bars on the output, which is not a terminal's here.
    with contextlib.redirect_stdout(StringIO()):
        quantized = nncf.quantize(
            openvino.Core().read_model(str(plain)),
            nncf.Dataset(list(inputs), told),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(inputs),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE
            ),
        )
    openvino.save_model(quantized, str(file), compress_to_fp16=False)


def _calibrate(loaded: LoadedModel, file: Path, teaching: Teaching, progress: Progress) -> None:
    """Quantize the file that lies beside."""
    inputs = calibration_inputs(loaded, teaching, part(progress, 0.0, 0.1))
    quantize(beside(file, OPENVINO.row), file, inputs, part(progress, 0.1, 1.0))


def run_file(file: Path, **properties: Any) -> Run:
    """Return what runs a file for a check."""
    compiled = compile_file(file, **properties)
    return lambda arrays: list(compiled(dict(arrays)).values())


def _check(loaded: LoadedModel, file: Path) -> None:
    """Compare file and model in float32, which rounding to bfloat16 would hide faults from."""
    run = run_file(file, INFERENCE_PRECISION_HINT="f32")
    check_same(OPENVINO.row, run, Graph(loaded), longest_input(loaded))


def _check_quantized(loaded: LoadedModel, file: Path) -> None:
    check_sound(OPENVINO_INT8.row, run_file(file), Graph(loaded), longest_input(loaded))


OPENVINO = Runtime(
    "openvino",
    encoder=OpenVinoEncoder,
    write=write_openvino,
    check=_check,
    check_model=check_exportable,
    probe=lambda file, folder: memory_probe("openvino", file, folder),
    packages=("openvino",),
)
OPENVINO_INT8 = Runtime(
    "openvino-int8",
    encoder=OpenVinoEncoder,
    train=_calibrate,
    check=_check_quantized,
    check_model=check_exportable,
    probe=lambda file, folder: memory_probe("openvino", file, folder),
    packages=("openvino", "nncf"),
)
