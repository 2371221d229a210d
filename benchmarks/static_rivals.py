"""Static encoders of one base, trained on one corpus: ours, model2vec, tokenlearn and pyNIFE.

    pip install model2vec skeletoken datasets more-itertools wandb accelerate
    pip install --no-deps tokenlearn pynife
    python -m benchmarks.static_rivals --data FOLDER|docstrings|FILE [--model FOLDER]
        [--sizes 0.25] [--seeds 0] [--texts 60000] [--threads 1] [--only ours pynife]

Collections are those of `benchmarks.recovery_quality`. Each row says what of the base's nDCG@10 is
kept where the encoder reads queries and documents, and where it reads the queries alone and the
base the documents. The latter needs the base's own space: those that reduce it (PCA) have none.

It is the same text for all: the base reads documents, then sentences and windows of words of them,
``--texts`` at most, once. What is trained gets the vectors of that reading, in the form that its
authors train on. The seconds are those of training, the base's reading of tokens among them.

- ours: `train_static`, with no limit of time, of a share ``--sizes`` of the base's words.
- model2vec: `distill` with its defaults (256 dimensions, float16). It reads no text.
- tokenlearn: what its two commands do, with their defaults: `distill` of up to 56,000 words of the
  corpus, then training on the means of the base's token vectors (256 dimensions by PCA) until the
  loss of a tenth held out stops falling. The texts are in random order, as that tenth is the last.
- pyNIFE: what its README says. Its tokenizer is the base's without what the corpus lacks and with
  the corpus's frequent words, up to the base's size, and vectors start as the base's of the tokens.
  Both are done here: its own functions call what skeletoken since 0.3 and transformers 5 lack or do
  otherwise. Its count of words and its loss are used as they are: the cosine loss, batches of 128,
  a rate of 0.01; documents first, then parts of them as queries, as many times as ours and at a
  rate lower by as much, a tenth. Matryoshka loss is left out: it is for shorter vectors than those
  that are scored.
"""

import argparse
import json
import logging
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.collections import collection
from benchmarks.recording import recorded
from benchmarks.recovery_quality import on_device, packaged_minilm, transferred
from benchmarks.retrieval import Retrieval
from worker.compression import (
    LoadedModel,
    StaticOptions,
    load_model,
    save_model,
    train_static,
)
from worker.compression.evaluation.clock import Clock
from worker.compression.evaluation.tasks.vectors import Index, retrieval_scores
from worker.compression.models.encoder import Encoder, Inputs, SentenceEncoder
from worker.compression.progress import silent
from worker.compression.recovery.data import sample_documents
from worker.compression.runtimes.static import StaticEncoder, write_static
from worker.compression.static.teacher import Lesson, Lessons, read_lessons

METHODS = ["ours", "model2vec", "tokenlearn", "pynife"]
# Of tokenlearn's command.
WORDS, DIMENSIONS = 56_000, 256
# Of pyNIFE's README, which says of the rate for queries that it is lower: it is so by as much as
# ours.
BATCH, RATE, QUERY_RATE = 128, 1e-2, 1e-3
_VECTORS = "sentence_embedding"


class Reader(Encoder):
    """The base, which keeps the mean of each text's token vectors too, special ones left out."""

    def __init__(self, base: LoadedModel) -> None:
        super().__init__(base)
        self.means = dict[str, Tensor]()
        self._last: tuple[Tensor, Tensor] | None = None

    def last_hidden(self, inputs: Inputs) -> Tensor:
        hidden = super().last_hidden(inputs)
        self._last = hidden, inputs["attention_mask"]
        return hidden

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        made = super().vectors(texts)
        assert self._last is not None
        hidden, mask = self._last
        lengths = mask.sum(dim=1).tolist()
        for text, states, length in zip(texts, hidden, lengths, strict=True):
            self.means[text] = states[1 : length - 1].mean(dim=0).cpu()
        return made


class Made:
    """An encoder that a rival made."""

    def __init__(self, encode: Callable[[list[str]], Any]) -> None:
        self._encode = encode

    def vectors(self, texts: Sequence[str]) -> Tensor:
        return torch.as_tensor(np.asarray(self._encode(list(texts)))).float()


def unpadded(base: Path, folder: Path) -> str:
    """Return a copy of a base whose tokenizer file asks for no padding.

    model2vec pads each word to the length that the file asks for, 128 tokens, which only takes
    time.
    """
    copied = shutil.copytree(base, folder / "base")
    file = copied / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "padding": None}), "utf-8")
    return str(copied)


@dataclass(frozen=True)
class Studied:
    """Holds what the base has read of a corpus, for one seed."""

    base: LoadedModel
    data: Retrieval
    lessons: Lessons
    means: dict[str, Tensor]
    seed: int


def ours(studied: Studied, folder: Path, fraction: float) -> tuple[SentenceEncoder, Path]:
    """Return the static encoder of a job."""
    base, texts = studied.base, lambda: list(studied.data.documents.values())
    student = transferred(base, texts, fraction, folder)
    save_model(folder, student.model, student.tokenizer, base.folder)
    made = train_static(
        on_device(load_model(base.folder)),
        student.tokenizer,
        texts,
        options=StaticOptions(seconds=None),
        seed=studied.seed,
        lessons=studied.lessons,
    )
    file = folder / "static" / "model.safetensors"
    file.parent.mkdir()
    write_static(student, made.table, file)
    return StaticEncoder(student, file), file


def model2vec(studied: Studied, folder: Path) -> tuple[SentenceEncoder, Path]:
    """Return what `distill` makes of the base with its defaults."""
    from model2vec.distill import distill  # noqa: PLC0415

    return _saved(distill(unpadded(studied.base.folder, folder)), folder)


def tokenlearn(studied: Studied, folder: Path) -> tuple[SentenceEncoder, Path]:
    """Return what `tokenlearn-train` makes of what the base has read."""
    from model2vec.distill import distill  # noqa: PLC0415
    from tokenlearn.train import train_model  # noqa: PLC0415
    from tokenlearn.utils import create_vocab  # noqa: PLC0415

    texts = sorted({*studied.lessons.documents.texts, *studied.lessons.queries.texts})
    texts = [text for text in texts if studied.means[text].isfinite().all()]
    random.Random(studied.seed).shuffle(texts)  # noqa: S311
    means = torch.stack([studied.means[text] for text in texts]).numpy()
    model = distill(
        unpadded(studied.base.folder, folder),
        vocabulary=create_vocab(texts, vocab_size=WORDS),
        pca_dims=DIMENSIONS,
        quantize_to="float32",
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trained = train_model(model, texts, means, device=device, pca_dims=DIMENSIONS)
    return _saved(trained, folder)


def _saved(model: Any, folder: Path) -> tuple[SentenceEncoder, Path]:
    from model2vec import StaticModel  # noqa: PLC0415

    model.save_pretrained(folder / "made")
    encode = StaticModel.from_pretrained(folder / "made").encode
    return Made(encode), folder / "made" / "model.safetensors"


def pynife(studied: Studied, folder: Path) -> tuple[SentenceEncoder, Path]:
    """Return what pyNIFE makes of the base: documents first, then their parts as queries."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from sentence_transformers.models import Normalize, StaticEmbedding  # noqa: PLC0415

    teacher = SentenceTransformer(str(studied.base.folder))
    tokenizer = _expanded(teacher.tokenizer, studied.lessons.documents.texts)
    start = _start(teacher, tokenizer)
    static = StaticEmbedding(tokenizer, embedding_weights=start)
    model = SentenceTransformer(modules=[static, Normalize()])
    lessons = studied.lessons
    # As many times as ours sees the texts.
    epochs = StaticOptions().epochs
    _distil(model, lessons.documents, epochs[0], RATE, studied.seed)
    _distil(model, lessons.queries, epochs[1], QUERY_RATE, studied.seed)
    model.save(str(folder))
    file = next(folder.rglob("model.safetensors"))
    return Made(partial(model.encode, show_progress_bar=False)), file


@torch.no_grad()
def _start(teacher: Any, tokenizer: Any) -> Tensor:
    """Return the teacher's vector of each token between its special ones (tokens, width)."""
    own, inside = teacher.tokenizer, tokenizer.backend_tokenizer.model.continuing_subword_prefix
    known, rows = own.get_vocab(), list[list[int]]()
    for token in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))):
        ids = [known[token]] if token in known else None
        ids = ids or own(token.removeprefix(inside), add_special_tokens=False)["input_ids"]
        rows.append([own.cls_token_id, *ids, own.sep_token_id])
    vectors, order = torch.zeros(len(rows), 0), sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for first in range(0, len(rows), 256):
        batch = order[first : first + 256]
        padded = own.pad({"input_ids": [rows[i] for i in batch]}, return_tensors="pt")
        made = teacher.forward({n: padded[n].to(teacher.device) for n in padded})
        vectors = vectors if vectors.shape[1] else torch.zeros(len(rows), made[_VECTORS].shape[1])
        vectors[batch] = made[_VECTORS].float().cpu()
    return vectors


def _expanded(tokenizer: Any, texts: Sequence[str]) -> Any:
    """Return a tokenizer without tokens that texts lack, with their most frequent words."""
    from pynife.tokenizer.count_vocabulary import count_tokens_in_dataset  # noqa: PLC0415
    from skeletoken import TokenizerModel  # noqa: PLC0415

    counted = [item["token"] for item in count_tokens_in_dataset(tokenizer, texts)]
    used = {token for ids in tokenizer(counted)["input_ids"] for token in ids}
    used |= set(tokenizer.all_special_ids)
    unused = [token for token, number in tokenizer.get_vocab().items() if number not in used]
    model = TokenizerModel.from_transformers_tokenizer(tokenizer)
    model = model.remove_tokens_from_vocabulary(unused)
    new = [token for token in counted if token not in model.vocabulary and not token.isdigit()]
    new = new[: max(0, len(tokenizer) - model.vocabulary_size)]
    return model.add_tokens_to_vocabulary(new, preprocess_tokens=False).to_transformers()


def _distil(model: Any, lesson: Lesson, epochs: int, rate: float, seed: int) -> None:
    from datasets import Dataset  # noqa: PLC0415
    from pynife.losses import CosineLoss  # noqa: PLC0415
    from sentence_transformers import (  # noqa: PLC0415
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from transformers import PrinterCallback  # noqa: PLC0415

    rows = {"sentence": lesson.texts, "label": lesson.vectors.tolist()}
    steps = epochs * -(-len(lesson.texts) // BATCH)
    asked = SentenceTransformerTrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH,
        num_train_epochs=epochs,
        learning_rate=rate,
        lr_scheduler_type="cosine_warmup_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1},
        warmup_steps=steps // 10,
        weight_decay=0.01,
        seed=seed,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model, asked, train_dataset=Dataset.from_dict(rows), loss=CosineLoss(model)
    )
    # It would print among the rows.
    trainer.remove_callback(PrinterCallback)
    trainer.train()


class Scored:
    """A collection, scored as a share of what the base has there."""

    def __init__(self, data: Retrieval, base: LoadedModel) -> None:
        self._width = base.model.config.hidden_size
        self._data, self._index = data, Index()
        # The base comes first: the documents that it reads are the index.
        self._before = self._score(Encoder(base), self._index)["ndcg_at_10"]

    def _score(self, encoder: SentenceEncoder, index: Index | None) -> dict[str, float]:
        data = self._data
        return dict(
            retrieval_scores(encoder, data.documents, data.queries, data.judgements, index=index)
        )

    def row(self, name: str, encoder: SentenceEncoder, file: Path, seconds: float) -> None:
        """Print what an encoder keeps, and what it costs."""
        width = encoder.vectors(["a text"]).shape[1]
        scores = self._score(encoder, self._index if width == self._width else None)
        names = ("ndcg_at_10", "index_ndcg_at_10")
        kept = [f"{scores[n] / self._before:.1%}" if n in scores else "-" for n in names]
        costs = [f"{file.stat().st_size / 1e6:.1f}", str(width), f"{seconds:.0f}"]
        print(f"| {' | '.join([name, *costs, *kept])} |", flush=True)


def parse() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.25])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--texts", type=int, default=StaticOptions().most_queries)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", nargs="+", choices=METHODS, default=METHODS)
    return parser.parse_args()


def study(base: LoadedModel, data: Retrieval, seed: int, most: int) -> Studied:
    """Have the base read the corpus once, and print how long that took."""
    clock, reader = time.monotonic(), Reader(on_device(load_model(base.folder)))
    documents = sample_documents(lambda: list(data.documents.values()), seed, silent)
    lessons = read_lessons(
        reader,
        documents,
        seed=seed,
        most_documents=StaticOptions().most_documents,
        most_queries=most,
        clock=Clock(None),
        progress=silent,
    )
    read = {
        "documents": len(lessons.documents.texts),
        "parts": len(lessons.queries.texts),
        "different texts": len(reader.means),
        "seconds": round(time.monotonic() - clock),
    }
    print(f"read by the base, seed {seed}: {json.dumps(read)}", flush=True)
    return Studied(base, data, lessons, reader.means, seed)


def main() -> None:
    asked = parse()
    base, data = load_model(asked.model or packaged_minilm()), collection(asked.data)
    # They tell of every word that they skip, and show each batch.
    logging.disable(logging.WARNING)
    os.environ["TQDM_DISABLE"] = "1"
    if asked.threads:
        torch.set_num_threads(asked.threads)
    studies = [study(base, data, seed, asked.texts) for seed in asked.seeds]
    scored = Scored(data, on_device(load_model(base.folder)))
    makers: dict[str, Callable[[Studied, Path], tuple[SentenceEncoder, Path]]] = {
        **{f"ours, {size}": partial(ours, fraction=size) for size in asked.sizes},
        "pyNIFE": pynife,
        "model2vec": model2vec,
        "tokenlearn": tokenlearn,
    }
    print("| encoder, seed | MB | dimensions | s | nDCG@10 kept | kept in the base's index |")
    print("|---|---|---|---|---|---|")
    for (name, make), studied in product(makers.items(), studies):
        if name.split(",")[0].lower() not in asked.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            encoder, file = make(studied, Path(folder))
            scored.row(f"{name}, {studied.seed}", encoder, file, time.monotonic() - began)


if __name__ == "__main__":
    with recorded():
        main()
