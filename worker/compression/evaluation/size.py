"""Measure what a model takes: tokens, parameters, bytes, and peak memory in a fresh process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from app.contract.names import BASELINE
from app.contract.report import Memory, ModelSize
from worker.compression.evaluation.clock import Clock
from worker.compression.models.folders import weights_folder
from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import vocabulary_tensors
from worker.compression.progress import Progress, silent
from worker.compression.runtimes import RUNTIMES
from worker.compression.subprocesses import failure, run_child

_TEXTS = 32


def measure_size(loaded: LoadedModel) -> ModelSize:
    """Measure a loaded model, and the files of its weights.

    Embeddings are the input tables and the untied output tables.
    """
    tensors = vocabulary_tensors(loaded.model)
    tables = [*tensors.input_tables, *tensors.output_tables]
    return ModelSize(
        vocab_size=len(loaded.tokenizer),
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        embedding_parameters=sum(table.numel() for table in tables),
        bytes=sum(file.stat().st_size for file in loaded.weights_folder.glob("*.safetensors")),
    )


def measure_memory(  # noqa: PLR0913
    base: Path,
    compressed: Path,
    files: Mapping[str, Path],
    texts: Sequence[str],
    progress: Progress | None = None,
    *,
    seconds: float | None = None,
) -> list[Memory]:
    """Measure the base and the compressed model in PyTorch, and exported files of it by runtime.

    Each is a program that does nothing else: one that runs an ONNX file does not import PyTorch.
    Base and compressed model are measured in any case; files that there is no time for in
    ``seconds`` have no row.

    Raises:
        RuntimeError: a program ended badly.

    """
    progress, clock = progress or silent, Clock(seconds)
    base, compressed = weights_folder(base), weights_folder(compressed)
    weights = RUNTIMES[BASELINE].row.path
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder, "texts.json")
        sample.write_text(json.dumps(list(texts[:_TEXTS])), encoding="utf-8")

        def peak(runtime: str, file: Path, model: Path) -> int:
            return _run(runtime, [*RUNTIMES[runtime].probe(file, model), sample], progress)

        rows, before = list[Memory](), peak(BASELINE, base / weights, base)
        for name, file in {BASELINE: compressed / weights, **files}.items():
            if rows and clock.is_over:
                break
            after = peak(name, file, compressed)
            rows.append(Memory(runtime=name, before_bytes=before, after_bytes=after))
        return rows


def _run(runtime: str, arguments: Sequence[str | Path], progress: Progress) -> int:
    """Run a probe; returns the bytes that it prints as its last word."""
    command = [sys.executable, "-P", *arguments]
    child = run_child(
        command, partial(progress, 0.5, "measuring memory"), stderr=subprocess.DEVNULL
    )
    if child.status:
        raise failure(f"The memory probe of {runtime}", child.status)
    return int(child.output.split()[-1])
