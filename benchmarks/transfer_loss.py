"""The cost of a transferred vocabulary before any training, by how its rows were made.

    FVT_MODELS_DIR=… FVT_BENCH_DATA=… python -m benchmarks.transfer_loss [MODEL …]

Takes minilm-l6-mlm, gpt2-mini and t5-mini of FVT_MODELS_DIR and contracts of FVT_BENCH_DATA
(``cuad/contracts.jsonl.gz``): tokenizers are trained on some, bits per character are of others
(for t5-mini, per character it has to restore). ``published`` is the partition of the paper's code,
which strips the token's mark and tokenizes what is left as text; ``bias[:N]`` is FVT with the
masked-LM head's bias cut instead of mapped. Fewer bits are better.
"""

import copy
import gzip
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from benchmarks.recording import recorded
from worker.compression import (
    CompressionError,
    LoadedModel,
    Partition,
    load_model,
    required_tokens,
    resolve_vocab_size,
    train_tokenizer,
    transfer_vocabulary,
)
from worker.compression.evaluation.metrics.language_modeling import (
    causal_bits_per_character,
    denoising_bits_per_character,
    excerpts,
)
from worker.compression.models.encoder import Encoder
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.tokenizer_json import unbounded
from worker.compression.transfer.embeddings import row_map
from worker.compression.transfer.partition import as_columns
from worker.compression.transfer.transfer import transplant

MODELS = ("minilm-l6-mlm", "gpt2-mini", "t5-mini")
FRACTIONS = (1.0, 0.5, 0.25)
TRAINING, HELD_OUT = 60, 24
MASKED_TEXTS, MASKED_CHARACTERS, MASK_EVERY = 16, 500, 7
METHODS = ("fvt", "pvt", "wvt", "published", "bias[:N]")
MARKS = ("##", "Ġ", "▁")

Score = Callable[[Encoder, Sequence[str], Progress], float]


def all_contracts() -> list[str]:
    path = Path(os.environ["FVT_BENCH_DATA"], "cuad", "contracts.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def contracts() -> list[str]:
    return all_contracts()[: TRAINING + HELD_OUT]


def score_of(base: LoadedModel, texts: list[str]) -> tuple[Score, list[str]]:
    """The loss that is the model's own, and the text it is measured on, not from the titles."""
    encoder = Encoder(base)
    bodies = [" ".join(text.split())[2000:] for text in texts if len(text) > 5000]
    if not encoder.generates:
        return masked_word_bits, [text[:MASKED_CHARACTERS] for text in bodies[:MASKED_TEXTS]]
    is_seq2seq = base.model.config.is_encoder_decoder
    score = denoising_bits_per_character if is_seq2seq else causal_bits_per_character
    return score, excerpts([encoder], bodies, HELD_OUT)


@torch.inference_mode()
def masked_word_bits(encoder: Encoder, texts: Sequence[str], _: Progress) -> float:
    """Bits a character of words, each hidden once, all of its tokens together.

    Tokenizers of one family agree on the words. It is a pass a text, where the report's own metric
    (worker.compression.evaluation.masked_lm) takes one a token.
    """
    bits, characters, backend = 0.0, 0, unbounded(encoder.tokenizer)
    for text in texts:
        encoding = backend.encode(text)
        ids, words = torch.tensor(encoding.ids), encoding.word_ids
        turns = torch.arange(MASK_EVERY)[:, None]
        word = torch.tensor([-1 if w is None else w for w in words])
        hidden = (word % MASK_EVERY == turns) & (word >= 0)
        rows = ids.expand(MASK_EVERY, -1).masked_fill(hidden, int(encoder.tokenizer.mask_token_id))
        logits = encoder.model(input_ids=rows.to(encoder.model.device)).logits
        scores = logits.float().cpu().log_softmax(dim=-1)
        likelihood = scores.gather(2, ids.expand(MASK_EVERY, -1)[..., None])[..., 0]
        bits -= likelihood[hidden].sum().item() / math.log(2)
        characters += len(text)
    return bits / characters


def published_partitions(
    base_tokenizer: PreTrainedTokenizerBase, partitions: Sequence[Partition]
) -> list[Partition]:
    known, result = base_tokenizer.get_vocab(), []
    for partition in partitions:
        if partition.source == "copied":
            result.append(partition)
            continue
        surface = partition.token
        for mark in MARKS:
            surface = surface.removeprefix(mark)
        pieces = tuple(p for p in base_tokenizer.tokenize(surface) if p in known)
        ids = tuple(known[piece] for piece in pieces)
        source: Any = "averaged" if ids else "fallback"
        result.append(Partition(partition.id, partition.token, source, pieces, ids))
    return result


def transferred(
    base: LoadedModel, domain: PreTrainedTokenizerBase, method: Any
) -> PreTrainedModel | None:
    if method in {"fvt", "pvt", "wvt"}:
        return transfer_vocabulary(base.model, base.tokenizer, domain, method).model
    done = transfer_vocabulary(base.model, base.tokenizer, domain)
    if method == "published":
        partitions = published_partitions(base.tokenizer, done.partitions)
        rows = row_map(as_columns(partitions), None, len(base.tokenizer))
        return transplant(base.model, base.tokenizer, domain, rows, len(domain), 0)
    student: Any = copy.deepcopy(done.model)
    biases = {n: p for n, p in base.model.named_parameters() if n.endswith("predictions.bias")}
    for name, bias in biases.items():
        student.get_parameter(name).data = bias.data[: len(domain)].clone()
    return student if biases else None


def cell(base: LoadedModel, domain: PreTrainedTokenizerBase, method: str, measure: Any) -> str:
    model = transferred(base, domain, method)
    return f"{measure(LoadedModel(model, domain, base.folder)):.3f}" if model else ""


def rows_of(name: str, texts: list[str]) -> None:
    base = load_model(Path(os.environ["FVT_MODELS_DIR"], name))
    score, held_out = score_of(base, texts[TRAINING:])

    def measure(loaded: LoadedModel) -> float:
        return score(Encoder(loaded), held_out, silent)

    before, keep = measure(base), required_tokens(base.model, base.tokenizer)
    for fraction in FRACTIONS:
        start, size = time.perf_counter(), resolve_vocab_size(fraction, base.tokenizer)
        try:
            domain = train_tokenizer(
                base.tokenizer, lambda: texts[:TRAINING], size, keep_tokens=keep
            )
        except CompressionError as error:
            print(f"| {name} | {fraction} | {error} |", flush=True)
            continue
        cells = [cell(base, domain, method, measure) for method in METHODS]
        seconds = time.perf_counter() - start
        row = [name, str(fraction), f"{before:.3f}", *cells, f"{seconds:.0f}"]
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    header = ("model", "size", "base", *METHODS, "seconds")
    print(f"| {' | '.join(header)} |")
    print("|" + " --- |" * len(header))
    texts = contracts()
    for name in sys.argv[1:] or MODELS:
        rows_of(name, texts)


if __name__ == "__main__":
    with recorded():
        main()
