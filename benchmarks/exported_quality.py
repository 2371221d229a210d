"""Quality of the files that a job exports: nDCG@10 kept, and kept in the index of the base.

    python -m benchmarks.exported_quality --data FOLDER|docstrings|FILE [--model FOLDER]
        [--sizes 0.1 0.18] [--layers 2] [--seeds 0] [--steps N] [--minutes M]
        [--rate R] [--preset balanced]
        [--general FILE] [--general-share 0.25] [--static]
        [--pseudo-queries | --queries FILE] [--query-share S] [--query-rate R]
        [--runtimes onnx-int8 onnx-int4]

Collections are those of `benchmarks.recovery_quality`. Each model is recovered, exported and
scored in PyTorch, int8 and int4, with the documents read by itself, and with those that the base
read. ``--general`` is a file with a passage a line, a share of the texts of training; ``--static``
trains the static encoder in place of a model, with no limit of time. The last steps train on the
queries of a file, one a line, which must not be the collection's, or on some made of the documents.
``--runtimes`` without a name scores in PyTorch alone; with int4 among them, the last steps train
with weights in four bits, as in a job. Runs on a GPU where there is one; exported
files always on the CPU.
"""

import argparse
import tempfile
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from app.contract.budgets import FOUR_BIT_SHARE, QUERY_RATE, QUERY_SHARE
from benchmarks.collections import collection
from benchmarks.recording import recorded
from benchmarks.recovery_quality import on_device, packaged_minilm, transferred
from benchmarks.retrieval import Retrieval
from worker.compression import (
    LoadedModel,
    RecoveryOptions,
    StaticOptions,
    export_model,
    load_model,
    recover,
    save_model,
    train_static,
)
from worker.compression.evaluation.tasks.vectors import Index, retrieval_scores
from worker.compression.models.encoder import Encoder, SentenceEncoder
from worker.compression.runtimes import RUNTIMES
from worker.compression.runtimes.static import StaticEncoder, write_static

EXPORTED = ["onnx-int8", "onnx-int4"]


class Scored:
    """A collection, scored as a share of what the base has there."""

    def __init__(self, data: Retrieval, base: LoadedModel) -> None:
        self._index = Index()
        self._score = partial(
            retrieval_scores,
            documents=data.documents,
            queries=data.queries,
            judgements=data.judgements,
            index=self._index,
        )
        # The base comes first: the documents that it reads are the index.
        self._before = self._score(Encoder(base))["ndcg_at_10"]

    def row(self, name: str, runtime: str, encoder: SentenceEncoder, file: Path) -> None:
        """Print what a file keeps."""
        scores = self._score(encoder)
        kept = [scores[metric] / self._before for metric in ("ndcg_at_10", "index_ndcg_at_10")]
        cells = [name, runtime, f"{file.stat().st_size / 1e6:.1f}", *(f"{k:.1%}" for k in kept)]
        print(f"| {' | '.join(cells)} |", flush=True)


def parse() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.1, 0.18])
    parser.add_argument("--layers", type=int, nargs="+", default=[2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--preset", choices=["fast", "balanced", "max"], default="balanced")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--general", type=Path)
    parser.add_argument("--general-share", type=float, default=0.25)
    parser.add_argument("--static", action="store_true")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pseudo-queries", action="store_true")
    which.add_argument("--queries", type=Path)
    parser.add_argument("--query-share", type=float, default=QUERY_SHARE)
    parser.add_argument("--query-rate", type=float, default=QUERY_RATE)
    parser.add_argument("--runtimes", nargs="*", choices=EXPORTED, default=EXPORTED)
    return parser.parse_args()


def main() -> None:
    asked = parse()
    base = load_model(asked.model or packaged_minilm())
    teacher, data = on_device(load_model(base.folder)), collection(asked.data)
    scored = Scored(data, teacher)
    print("| words, layers, seed | runtime | MB | nDCG@10 kept | kept in the base's index |")
    print("|---|---|---|---|---|")
    for fraction, layers, seed in product(asked.sizes, asked.layers, asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            name = f"{fraction}, {layers or 'all'}, {seed}"
            made = Made(asked, base, teacher, data, Path(folder))
            if asked.static:
                made.static(scored, name, fraction, seed)
            else:
                made.model(scored, name, fraction, layers, seed)


class Made:
    """One model of a base, in a folder."""

    def __init__(
        self, asked: Any, base: LoadedModel, teacher: LoadedModel, data: Retrieval, folder: Path
    ) -> None:
        self.asked, self.base, self.teacher = asked, base, teacher
        self.data, self.folder = data, folder

    def texts(self) -> list[str]:
        return list(self.data.documents.values())

    def general(self) -> list[str]:
        return self.asked.general.read_text("utf-8").splitlines()  # type: ignore[no-any-return]

    def queries(self) -> list[str]:
        return self.asked.queries.read_text("utf-8").splitlines()  # type: ignore[no-any-return]

    def static(self, scored: Scored, name: str, fraction: float, seed: int) -> None:
        student = transferred(self.base, self.texts, fraction, self.folder)
        file = self.folder / "static" / "model.safetensors"
        save_model(self.folder, student.model, student.tokenizer, self.base.folder)
        options = StaticOptions(seconds=None)
        made = train_static(self.teacher, student.tokenizer, self.texts, options=options, seed=seed)
        file.parent.mkdir()
        write_static(student, made.table, file)
        scored.row(name, "static", StaticEncoder(student, file), file)

    def model(self, scored: Scored, name: str, fraction: float, layers: int, seed: int) -> None:
        student = transferred(self.base, self.texts, fraction, self.folder)
        asked = self.asked
        options = RecoveryOptions(
            keep_layers=layers or None,
            preset=asked.preset,
            max_steps=asked.steps,
            max_minutes=asked.minutes,
            learning_rate=asked.rate,
            general_share=asked.general_share if asked.general else 0.0,
            pseudo_queries=asked.pseudo_queries,
            query_share=asked.query_share,
            query_rate=asked.query_rate,
            four_bit_share=FOUR_BIT_SHARE if "onnx-int4" in asked.runtimes else 0.0,
        )
        general = self.general if asked.general else None
        done = recover(
            self.teacher,
            student.model,
            student.tokenizer,
            self.texts,
            options,
            seed,
            general=general,
            queries=self.queries if asked.queries else None,
        )
        save_model(self.folder, done.model, student.tokenizer, self.base.folder)
        if asked.runtimes:
            export_model(self.folder, self.folder, ["onnx", *asked.runtimes])
        own = on_device(load_model(self.folder))
        scored.row(name, "torch", Encoder(own), self.folder / "model.safetensors")
        cpu = load_model(self.folder)
        for runtime in asked.runtimes:
            file = self.folder / RUNTIMES[runtime].row.path
            scored.row(name, runtime, RUNTIMES[runtime].encoder(cpu, file), file)


if __name__ == "__main__":
    with recorded():
        main()
