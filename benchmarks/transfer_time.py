"""Transfer time against the published per-token loop, one after the other in one process.

    [FVT_BENCH_TOKENIZERS=/path/to/tokenizers] python -m benchmarks.transfer_time

Transfers a random embedding matrix of width 384 to vocabularies of 30k and 100k tokens, three in
ten of them shared with the base: once as the engine does it (partition the raw tokens, then means
of rows in one operation) and once token by token, as in the reference implementation of Gee et al.
(``tokenizer.tokenize`` on the surface form, then ``torch.mean`` over rows of the model's matrix).
Both must give the same matrix. Takes a generated WordPiece base and, where the folder is given,
GPT-2's byte-level BPE.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import BertTokenizer, GPT2Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from benchmarks.recording import recorded
from worker.compression.transfer.embeddings import map_rows, row_map
from worker.compression.transfer.partition import partition_vocabulary

SIZES, WIDTH, SHARED, RUNS = (30_000, 100_000), 384, 0.3, 3
Tokenizer = PreTrainedTokenizerBase
Case = tuple[str, Tokenizer, Tokenizer, Callable[[str], str]]


def wordpiece(size: int) -> Case:
    """Make a base of syllable pairs, and a domain of longer words made of them."""
    syllables = [a + b for a, b in product("bcdfghjklmnprstvwz", "aeiou")]
    words = ["".join(pair) for pair in product(syllables, repeat=2)]
    pieces = [*words, *(f"##{word}" for word in words)]
    base = BertTokenizer(vocab=_numbered(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]))
    domain = BertTokenizer(vocab=_numbered(_mixed(words, words, size)))
    return "WordPiece, generated", base, domain, str


def gpt2(folder: Path, size: int) -> Case:
    """Take GPT-2's tokenizer, and a domain of words each made of two of its tokens."""
    base: Tokenizer = GPT2Tokenizer.from_pretrained(folder / "gpt2")
    plain = [token for token in base.get_vocab() if token.removeprefix("Ġ").isalpha()]
    plain = [token for token in plain if token.isascii() or token.startswith("Ġ")]
    starts = [token for token in plain if token.startswith("Ġ") and token[1:].isascii()]
    ends = [token for token in plain if token.isascii()]
    domain = GPT2Tokenizer(vocab=_numbered(_mixed(starts, ends, size)), merges=[])
    return "byte-level BPE, GPT-2", base, domain, lambda token: token.replace("Ġ", " ")


def _mixed(starts: list[str], ends: list[str], size: int) -> list[str]:
    choose = random.Random(0)  # noqa: S311
    tokens = dict.fromkeys(choose.sample(starts, min(len(starts), int(SHARED * size))))
    while len(tokens) < size:
        tokens[choose.choice(starts) + choose.choice(ends)] = None
    return list(tokens)


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens)}


def engine(base: Tokenizer, domain: Tokenizer, table: Tensor) -> Tensor:
    partitions = partition_vocabulary(base, domain)
    return map_rows(table, row_map(partitions, None, len(base)), 0)


def per_token(
    base: Tokenizer, domain: Tokenizer, model_table: Tensor, surface: Callable[[str], str]
) -> Tensor:
    known, mapping = base.get_vocab(), {}
    for token, i in domain.get_vocab().items():
        pieces = [token] if token in known else base.tokenize(surface(token))
        mapping[i] = [known[piece] for piece in pieces]
    rows = torch.zeros(len(mapping), model_table.shape[1])
    for i, ids in mapping.items():
        rows[i] = torch.mean(model_table[ids], dim=0)
    return rows


def row(case: Case) -> str:
    name, base, domain, surface = case
    noise = torch.randn(len(base), WIDTH, generator=torch.Generator().manual_seed(0))
    table = Parameter(noise)  # as a model holds it
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        ours = engine(base, domain, table)
        middle = time.perf_counter()
        theirs = per_token(base, domain, table, surface)
        seconds.append((middle - start, time.perf_counter() - middle))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    fast, slow = (sorted(times)[RUNS // 2] for times in zip(*seconds, strict=True))
    return f"| {name} | {len(domain):,} | {fast:.2f} | {slow:.2f} | {slow / fast:.0f}x |"


def cases() -> Iterator[Case]:
    for size in SIZES:
        yield wordpiece(size)
        if folder := os.environ.get("FVT_BENCH_TOKENIZERS"):
            yield gpt2(Path(folder), size)


def main() -> None:
    print("| base | domain tokens | engine, s | per token, s | ratio |\n|" + " --- |" * 5)
    for case in cases():
        print(row(case), flush=True)


if __name__ == "__main__":
    with recorded():
        main()
