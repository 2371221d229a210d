"""Labelled data: corpora in the wrong place, and tasks that the model cannot do."""

import gzip
from typing import TYPE_CHECKING, Any

from tests.hostile.case import Answer, Case, Wanted, Works, refused
from tests.hostile.models import model_of
from tests.support.sound_model import CONFIG, shapes

if TYPE_CHECKING:
    from tests.hostile.world import World

ROWS = b'{"text": "a", "label": "b"}\n'
OTHER = b'{"text": "c", "label": "d"}\n'
ONE_LABEL = {"id2label": {"0": "score"}, "label2id": {"score": 0}}


def uploaded(world: "World", data: bytes, format_: str = "records") -> str:
    sent = world.http.post(
        "/v1/corpora", files={"file": ("r.jsonl", data)}, data={"format": format_}
    )
    assert sent.status_code == 201, sent.text
    return str(sent.json()["id"])


def task(name: str, wanted: Wanted, /, **fields: Any) -> Case:
    """Submit a task whose `{text}`, `{rows}` and `{other}` are corpora of their kind."""

    def send(world: "World") -> Answer:
        ids = {"{text}": world.corpus, "{rows}": world.records, "{other}": uploaded(world, OTHER)}
        asked = {
            key: ids.get(value, value) if isinstance(value, str) else value
            for key, value in fields.items()
        }
        return submitted(world, asked)

    return Case(name, send, wanted)


def submitted(world: "World", asked: dict[str, Any], **fields: Any) -> Answer:
    body = {"base_model": world.model, "corpus_id": world.corpus, **fields}
    body["recipe"] = {"evaluation": {"task": asked}}
    return Answer.of(world.http.post("/v1/jobs", json=body))


def _too_many(world: "World") -> Answer:
    rows = uploaded(world, gzip.compress(b"{}\n" * 1_000_001, 1))
    return submitted(world, {"type": "sentence_pairs", "pairs": rows})


def _records_as_text(world: "World") -> Answer:
    body = {"base_model": world.model, "corpus_id": world.records}
    return Answer.of(world.http.post("/v1/jobs", json=body))


def _of_model(
    name: str,
    wanted: Wanted,
    asked: dict[str, Any],
    config: dict[str, Any],
    tensors: dict[str, list[int]],
) -> Case:
    """Submit a task for a model of another kind."""

    def send(world: "World") -> Answer:
        base_model = model_of(world, name, config=config, tensors=tensors)
        named = {key: world.records if value == "{rows}" else value for key, value in asked.items()}
        return submitted(world, named, base_model=base_model)

    return Case(name, send, wanted)


LABELS = {"type": "sequence_classification", "train": "{rows}", "test": "{other}"}
PAIRS = {"type": "sentence_pairs", "pairs": "{rows}"}
FOUND = {"type": "retrieval", "documents": "{rows}", "queries": "{rows}", "judgements": "{rows}"}
SCORES = {**shapes(), "classifier.weight": [1, 8]}
BAD: dict[str, dict[str, Any]] = {
    "one part for both": {**LABELS, "test": "{rows}"},
    "no seed": {**LABELS, "seeds": 0},
    "21 seeds": {**LABELS, "seeds": 21},
    "seeds of text": {**LABELS, "seeds": "3"},
    "epochs without end": {**LABELS, "epochs": 101},
    "a batch of nothing": {**LABELS, "batch_size": 0},
    "a rate beyond one": {**LABELS, "learning_rate": 2},
    "texts of seven tokens": {**LABELS, "max_length": 7},
    "a field with a NUL": {**LABELS, "text_field": "a\0b"},
    "a field of no name": {**LABELS, "label_field": ""},
    "an unknown field": {**LABELS, "validation": "{rows}"},
    "a field of another task": {**LABELS, "grade_field": "x"},
    "no test part": {"type": "sequence_classification", "train": "{rows}"},
    "one field of texts": {**PAIRS, "text_fields": ["a"]},
    "three fields of texts": {**PAIRS, "text_fields": ["a", "b", "c"]},
    "a field twice": {**PAIRS, "text_fields": ["a", "a"]},
    "fields of numbers": {**PAIRS, "text_fields": [1, 2]},
    "a list of corpora": {**PAIRS, "pairs": ["{rows}"]},
    "no corpus": {**PAIRS, "pairs": None},
    "a field of 201 characters": {**PAIRS, "grade_field": "x" * 201},
}
CASES: list[Case] = [
    *(task(f"a task: {name}", refused("invalid_recipe"), **asked) for name, asked in BAD.items()),
    task("a task on text", refused("corpus_without_records"), **{**LABELS, "train": "{text}"}),
    task("pairs on text", refused("corpus_without_records"), **{**PAIRS, "pairs": "{text}"}),
    task(
        "a task on nothing", refused("corpus_not_found"), **{**LABELS, "test": "corpus_" + "0" * 26}
    ),
    task("a task on SQL", refused("corpus_not_found"), **{**PAIRS, "pairs": "' OR 1=1"}),
    task("a task that works", Works(202), **LABELS),
    task("documents that are their own queries", Works(202), **FOUND),
    Case("a task of a million rows and one", _too_many, refused("too_many_records")),
    Case("labelled data as text", _records_as_text, refused("corpus_without_text")),
    _of_model(
        "retrieval with a cross-encoder",
        refused("task_unsupported"),
        FOUND,
        {**CONFIG, **ONE_LABEL},
        SCORES,
    ),
]
