"""Collections to retrieve from, and nDCG@10 of a model on them."""

import math
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from examples.corpus import SENTENCE_END, docstrings_of, sources

DEPTH, BATCH = 10, 32
RECORD = re.compile(r"^\.I (\d+)\s*\n\.W\s*\n(.*?)(?=^\.I |\Z)", re.MULTILINE | re.DOTALL)
MOST_QUERIES, FEWEST_CHARACTERS = 500, 100

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


class SentenceEncoder(Protocol):
    """What makes a vector of a text."""

    def vectors(self, texts: Sequence[str]) -> torch.Tensor: ...


def vectors(encoder: SentenceEncoder, texts: Sequence[str]) -> torch.Tensor:
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


@dataclass(frozen=True)
class Retrieval:
    """A collection, and what a model makes of it."""

    documents: dict[int, str]
    queries: dict[int, str]
    relevant: Judgements

    def score(self, encoder: SentenceEncoder) -> float:
        documents = vectors(encoder, list(self.documents.values()))
        queries = vectors(encoder, list(self.queries.values()))
        numbers, scores = list(self.documents), queries @ documents.T
        each = [
            ndcg(row, numbers, self.relevant[q])
            for q, row in zip(self.queries, scores, strict=True)
        ]
        return sum(each) / len(each)


def smart(folder: Path) -> Retrieval:
    """Read a SMART collection, of which a folder has one."""
    documents, queries, judgements = (
        next(folder.glob(f"*.{end}")) for end in ("ALL", "QRY", "REL")
    )
    return Retrieval(read_records(documents), read_records(queries), read_judgements(judgements))


def docstrings() -> Retrieval:
    """Return the standard library's docstrings, each to be found by its first sentence."""
    found = dict.fromkeys(text for source in sources() for text in docstrings_of(source))
    split = [[" ".join(part.split()) for part in SENTENCE_END.split(text, 1)] for text in found]
    known = {parts[0]: parts[1] for parts in split if len(parts) == 2}
    pairs = [pair for pair in known.items() if len(pair[1]) >= FEWEST_CHARACTERS]
    asked = random.Random(0).sample(range(len(pairs)), min(MOST_QUERIES, len(pairs)))  # noqa: S311
    return Retrieval(
        {number: text for number, (_, text) in enumerate(pairs)},
        {number: pairs[number][0] for number in asked},
        {number: {number} for number in asked},
    )
