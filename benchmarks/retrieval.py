"""SMART collections, and nDCG@10 of a model on any collection."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from worker.compression.evaluation.tasks.vectors import Judgements, Texts, retrieval_scores
from worker.compression.models.encoder import SentenceEncoder

RECORD = re.compile(r"^\.I (\d+)\s*\n\.W\s*\n(.*?)(?=^\.I |\Z)", re.MULTILINE | re.DOTALL)


def read_records(file: Path) -> Texts:
    """Read a SMART file: texts by number, white space made one space."""
    found = RECORD.findall(file.read_text("latin-1"))
    return {number: " ".join(text.split()) for number, text in found}


def read_judgements(file: Path) -> Judgements:
    grades = defaultdict[str, dict[str, int]](dict)
    for line in file.read_text("ascii").splitlines():
        query, _, document, *_ = line.split()
        grades[query][document] = 1
    return grades


@dataclass(frozen=True)
class Retrieval:
    """A collection, and what a model makes of it."""

    documents: Texts
    queries: Texts
    judgements: Judgements

    def score(self, encoder: SentenceEncoder) -> float:
        scores = retrieval_scores(encoder, self.documents, self.queries, self.judgements)
        return scores["ndcg_at_10"]


def smart(folder: Path) -> Retrieval:
    """Read a SMART collection, of which a folder has one."""
    documents, queries, judgements = (
        next(folder.glob(f"*.{end}")) for end in ("ALL", "QRY", "REL")
    )
    return Retrieval(read_records(documents), read_records(queries), read_judgements(judgements))
