"""Labelled data as uploads, and tasks on it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.serving import Service


def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(service: Service, rows: Iterable[Mapping[str, Any]], format_: str = "records") -> str:
    """Upload rows as JSON objects; returns the corpus's id."""
    files = {"file": ("rows.jsonl", lines(rows))}
    answer = service.http.post("/v1/corpora", files=files, data={"format": format_})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


PARTS = {
    "sequence_classification": ("train", "test"),
    "token_classification": ("train", "test"),
    "retrieval": ("documents", "queries", "judgements"),
    "sentence_pairs": ("pairs",),
}


def uploaded_task(service: Service, type_: str, **fields: Any) -> dict[str, Any]:
    """A task on small corpora of its own, which nobody reads."""
    parts = {name: upload(service, [{"row": name}]) for name in PARTS[type_]}
    return {"type": type_, **parts, **fields}
