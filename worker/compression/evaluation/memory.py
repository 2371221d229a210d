"""Peak memory of base and compressed model, each in a fresh process of its own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from app.contract.report import Memory
from worker.compression.progress import Progress, silent
from worker.compression.subprocesses import run_child

_PROBE = Path(__file__).with_name("memory_probe.py")
_TEXTS = 32


def measure_memory(
    base: Path,
    compressed: Path,
    files: Mapping[str, Path],
    texts: Sequence[str],
    progress: Progress | None = None,
) -> list[Memory]:
    """Measure the base and the compressed model in PyTorch, and ONNX files of it by runtime.

    Each is a program that does nothing else: one that runs an ONNX file does not import PyTorch.
    """
    progress = progress or silent
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder, "texts.json")
        sample.write_text(json.dumps(list(texts[:_TEXTS])), encoding="utf-8")
        before = _peak(["torch", base, sample], progress)
        probes: dict[str, list[str | Path]] = {"torch": ["torch", compressed, sample]}
        probes |= {name: ["onnx", file, compressed, sample] for name, file in files.items()}
        return [
            Memory(runtime=runtime, before_bytes=before, after_bytes=_peak(probe, progress))
            for runtime, probe in probes.items()
        ]


def _peak(arguments: Sequence[str | Path], progress: Progress) -> int:
    command = [sys.executable, "-P", _PROBE, *arguments]
    child = run_child(
        command, partial(progress, 0.5, "measuring memory"), stderr=subprocess.DEVNULL
    )
    if child.status:
        raise RuntimeError(f"The memory probe ended with {child.status}: {arguments[:-1]}")
    return int(child.output.split()[-1])
