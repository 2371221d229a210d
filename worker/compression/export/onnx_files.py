"""The ONNX files of a model, in the folder where sentence-transformers and optimum look."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.compression.evaluation.encoding import longest_input
from worker.compression.export.onnx_check import check_same, check_sound
from worker.compression.export.onnx_graph import Graph, write_graph
from worker.compression.export.onnx_int8 import quantize
from worker.compression.loading import load_model
from worker.compression.progress import Progress, silent

FILES = {"onnx": "onnx/model.onnx", "onnx-int8": "onnx/model_int8.onnx"}


@dataclass(frozen=True)
class OnnxFile:
    """A file that was written: its path under the model's folder."""

    runtime: str
    path: str
    bytes: int


def export_onnx(
    folder: Path, into: Path, *, int8: bool = False, progress: Progress | None = None
) -> list[OnnxFile]:
    """Write the ONNX file of the model in ``folder`` under ``into``, and in int8 if asked.

    Raises:
        ExportUnsupportedError: models of this kind, or of this size, are not exported.
        ExportFailedError: a file does not do what the model does.

    """
    progress = progress or silent
    loaded = load_model(folder)
    longest = longest_input(loaded)
    graph = Graph(loaded)
    file, quantized = (into / FILES[runtime] for runtime in FILES)
    file.parent.mkdir(parents=True, exist_ok=True)
    progress(0.1, "tracing the model")
    write_graph(graph, file)
    progress(0.5, "checking the ONNX file against the model")
    check_same(file, graph, longest)
    if int8:
        progress(0.7, "quantizing to int8")
        quantize(file, quantized)
        check_sound(quantized, graph, longest)
    return onnx_files(into)


def onnx_files(folder: Path) -> list[OnnxFile]:
    """Return the ONNX files that lie under a model's folder."""
    return list(_found(folder))


def _found(folder: Path) -> Iterator[OnnxFile]:
    for runtime, path in FILES.items():
        if (folder / path).is_file():
            yield OnnxFile(runtime, path, (folder / path).stat().st_size)
