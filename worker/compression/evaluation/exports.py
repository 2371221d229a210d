"""What a model's exported files are worth: their size, and their quality on held-out text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.onnx_encoder import OnnxEncoder
from worker.compression.evaluation.quality import Quality, compare_quality
from worker.compression.export.onnx_files import onnx_files
from worker.compression.loading import LoadedModel
from worker.compression.progress import Progress


@dataclass(frozen=True)
class Export:
    """A file for another runtime: its path in the result, and its quality against the base's."""

    runtime: str
    path: str
    bytes: int
    quality: list[Quality]


def measure_exports(  # noqa: PLR0913
    base: LoadedModel,
    compressed: LoadedModel,
    folder: Path,
    texts: Sequence[str],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Export]:
    """Measure the files exported under ``folder`` as `measure_quality` measures the model.

    What was before is always the base in PyTorch.
    """
    files = onnx_files(folder)
    encoders = [OnnxEncoder(compressed, folder / file.path) for file in files]
    if not encoders:
        return []
    rows = compare_quality(Encoder(base), encoders, texts, seed=seed, progress=progress)
    return [
        Export(file.runtime, file.path, file.bytes, quality)
        for file, quality in zip(files, rows, strict=True)
    ]
