"""Bytes and retrieval quality of a compressed model in each runtime, against the base and rivals.

    python -m benchmarks.pareto BASE_FOLDER COMPRESSED_FOLDER MED_FOLDER

BASE_FOLDER is a model, or `packaged` for the packaged all-MiniLM-L6-v2; nDCG@10 is that of
``benchmarks.recovery_quality``. `benchmarks.runtimes` times the same contenders.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.recording import recorded
from benchmarks.recovery_quality import packaged_minilm
from benchmarks.retrieval import smart
from benchmarks.runtimes import contenders


def main() -> None:
    base, compressed, med = sys.argv[1:]
    folder = packaged_minilm() if base == "packaged" else Path(base)
    collection, first = smart(Path(med)), 0
    calibration = list(collection.documents.values())
    print("| model | MB | smaller | nDCG@10 |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for one in contenders(folder, Path(compressed), Path(scratch), calibration):
            first, score = first or one.bytes, collection.score(one.encoder)
            cells = [one.name, f"{one.bytes / 1e6:.1f}", f"{first / one.bytes:.1f}x"]
            print(f"| {' | '.join(cells)} | {score:.4f} |", flush=True)


if __name__ == "__main__":
    with recorded():
        main()
