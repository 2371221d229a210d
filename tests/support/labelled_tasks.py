"""Labelled data for the small model: what its words say, a model can learn."""

import json
import random
from collections.abc import Iterable, Mapping
from typing import Any

from app.blobs import Blobs
from app.db import Database
from tests.support.tiny_models import texts
from tests.support.workers import store_lines

Rows = list[dict[str, Any]]
QUICK = {"seeds": 1, "epochs": 8, "batch_size": 8, "learning_rate": 5e-3, "max_length": 32}


def store_rows(db: Database, blobs: Blobs, rows: Iterable[Mapping[str, Any]]) -> str:
    """Records, as an upload leaves them; returns the corpus's id."""
    return store_lines(db, blobs, "records", [json.dumps(row) for row in rows]).id


def store_task(db: Database, blobs: Blobs, type_: str, **changed: Any) -> dict[str, Any]:
    """A task whose parts are `DATA`'s, or rows given here; what else is given are its fields."""
    parts = DATA[type_]()
    stored = {name: store_rows(db, blobs, changed.pop(name, rows)) for name, rows in parts.items()}
    protocol = QUICK if "classification" in type_ else {}
    return {"type": type_, **stored, **protocol, **changed}


def labelled(count: int = 96, seed: int = 0) -> Rows:
    """Texts that say at their beginning which label they have."""
    rng = random.Random(seed)
    marks = {True: "babe", False: "zuzo"}
    return [
        {"text": f"{marks[label]} {text}", "label": label}
        for text in texts(count, seed=seed)
        for label in [rng.random() < 0.5]
    ]


def tagged(count: int = 96, seed: int = 0) -> Rows:
    """Words, among them the name of a person, always the same."""
    found = []
    for place, text in enumerate(texts(count, seed=seed)):
        words = text.split()[:6]
        words.insert(place % 4, "kaba")
        tags = ["B-PER" if word == "kaba" else "O" for word in words]
        found.append({"tokens": words, "tags": tags})
    return found


def collection() -> dict[str, Rows]:
    """Documents, and queries that are words of them."""
    found, asked = texts(30, seed=5), range(8)
    return {
        "documents": [{"id": number, "text": text} for number, text in enumerate(found)],
        "queries": [
            {"id": f"q{number}", "text": " ".join(found[number].split()[:4])} for number in asked
        ],
        "judgements": [
            {"query_id": f"q{number}", "document_id": str(number), "grade": 2}
            for number in range(8)
        ],
    }


def graded() -> dict[str, Rows]:
    """A text with itself, with one that shares its beginning, and with another."""
    rows = []
    for one, other in zip(texts(8, seed=2), texts(8, seed=3), strict=True):
        half = " ".join([*one.split()[:3], *other.split()[3:]])
        for score, text in enumerate((other, half, one)):
            rows.append({"sentence1": one, "sentence2": text, "score": score})
    return {"pairs": rows}


DATA = {
    "sequence_classification": lambda: {"train": labelled(), "test": labelled(16, seed=1)},
    "token_classification": lambda: {"train": tagged(), "test": tagged(16, seed=1)},
    "retrieval": collection,
    "sentence_pairs": graded,
}
METRICS = {
    "sequence_classification": "macro_f1",
    "token_classification": "entity_f1",
    "retrieval": "ndcg_at_10",
    "sentence_pairs": "spearman",
}
