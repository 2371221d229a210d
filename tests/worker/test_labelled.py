"""Labelled rows: what can be read is read, and every fault says where it is and what to do."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract.errors import UserFault
from app.contract.recipe import Recipe
from app.corpora.documents import Row
from tests.support.labelled_tasks import DATA
from worker.compression import TaskDataError
from worker.labelled.data import (
    LabelledRow,
    Rows,
    read_pairs,
    read_retrieval,
    read_sentences,
    read_texts,
)

READ: dict[str, Any] = {
    "sequence_classification": read_texts,
    "token_classification": read_sentences,
    "retrieval": read_retrieval,
    "sentence_pairs": read_pairs,
}


def rows_of(parts: dict[str, list[Row]]) -> Rows:
    def rows(part: str) -> Iterator[LabelledRow]:
        return (LabelledRow(part, line, row) for line, row in enumerate(parts[part], 1))

    return rows


def read(type_: str, parts: dict[str, list[Row]], **fields: Any) -> Any:
    task = {"type": type_, **{name: f"corpus_{name}" for name in parts}, **fields}
    recipe = Recipe.model_validate({"evaluation": {"task": task}})
    return READ[type_](recipe.evaluation.task, rows_of(parts))


def fault(type_: str, part: str, rows: list[Any]) -> str:
    """What is said of these rows in place of the first ones of a part."""
    parts: Any = DATA[type_]()
    parts[part] = [*rows, *parts[part][len(rows) :]]
    try:
        read(type_, parts)
    except (UserFault, TaskDataError) as refusal:
        return f"{refusal.code}: {refusal}"
    pytest.fail("it was read")


def test_labels_and_ids_become_strings() -> None:
    rows: list[Row] = [{"body": "a", "y": y} for y in ("x", 1, 0, True, False, "1", -3)]
    fields = {"text_field": "body", "label_field": "y"}
    train, _ = read("sequence_classification", {"train": rows, "test": rows}, **fields)
    assert [label for _, label in train] == ["x", "1", "0", "true", "false", "1", "-3"]
    documents: list[Row] = [{"id": 1, "text": "a"}, {"id": "2", "text": "b"}]
    judgements: list[Row] = [
        {"query_id": "1", "document_id": 2, "grade": 1.0},
        {"query_id": 1, "document_id": "1", "grade": 0},
    ]
    parts = {"documents": documents, "queries": documents, "judgements": judgements}
    assert read("retrieval", parts)[2] == {"1": {"2": 1, "1": 0}}


TEXTS, WORDS, FOUND, PAIRS = READ
PAIR = {"sentence1": "a", "sentence2": "b", "score": 1}
GRADE = {"query_id": "q0", "document_id": "0", "grade": 1}


@pytest.mark.parametrize(
    ("type_", "part", "rows", "says"),
    [
        (TEXTS, "train", [{"text": "a"}], "Line 1 of `train` has no field 'label'; it has 'text'."),
        (TEXTS, "test", [{"label": 1}], "Line 1 of `test` has no field 'text'"),
        (TEXTS, "train", [{"text": 5, "label": 1}], "has an integer in the field 'text'"),
        (TEXTS, "train", [{"text": " ", "label": 1}], "where a string with text in it"),
        (TEXTS, "train", [{"text": "a", "label": 1.5}], "a string, an integer or a boolean"),
        (TEXTS, "train", [{"text": "a", "label": None}], "has null in the field 'label'"),
        (TEXTS, "test", [{"text": "a", "label": "new"}], "'new' of the test part is not in the tr"),
        (WORDS, "train", [{"tokens": "a b", "tags": ["O"]}], "a string in the field 'tokens'"),
        (WORDS, "train", [{"tokens": [], "tags": []}], "strings with text in it"),
        (WORDS, "train", [{"tokens": ["a", 1], "tags": ["O"]}], "a list of strings is expected"),
        (WORDS, "train", [{"tokens": ["a", "b"], "tags": ["O"]}], "has 2 words and 1 tags"),
        (WORDS, "train", [{"tokens": ["a"], "tags": [3]}], "has a list in the field 'tags'"),
        (WORDS, "train", [{"tokens": ["a"], "tags": ["PER"]}], "'PER' is none of an entity"),
        (FOUND, "documents", [{"id": 1.5, "text": "a"}], "a number in the field 'id'"),
        (FOUND, "documents", [{"id": True, "text": "a"}], "a boolean in the field 'id'"),
        (FOUND, "documents", [{"id": "", "text": "a"}], "has a blank string in the field 'id'"),
        (FOUND, "documents", [{"id": 1, "text": "a"}], "Line 2 of `documents` has the id '1'"),
        (FOUND, "queries", [{"id": "other", "text": "a"}], "'q0'"),
        (FOUND, "judgements", [{**GRADE, "document_id": "none"}], "'none'"),
        (FOUND, "judgements", [{**GRADE, "grade": -1}], "a whole number from 0"),
        (FOUND, "judgements", [{**GRADE, "grade": 1.5}], "a whole number from 0"),
        (FOUND, "judgements", [{**GRADE, "grade": 1e30}], "a whole number from 0"),
        (FOUND, "judgements", [GRADE, GRADE], "Line 2 of `judgements` judges a document for a qu"),
        (PAIRS, "pairs", [{**PAIR, "score": "5"}], "where a number is expected"),
        (PAIRS, "pairs", [{**PAIR, "score": float("nan")}], "no finite number"),
        (PAIRS, "pairs", [{**PAIR, "score": float("-inf")}], "no finite number"),
        (PAIRS, "pairs", [{**PAIR, "score": 10**400}], "where a number is expected"),
        (FOUND, "judgements", [{**GRADE, "grade": float("nan")}], "a whole number from 0"),
        (PAIRS, "pairs", [{**PAIR, "score": True}], "a boolean in the field 'score'"),
        (PAIRS, "pairs", [{**PAIR, "sentence2": None}], "has null in the field 'sentence2'"),
    ],
)
def test_a_fault_names_its_line(type_: str, part: str, rows: list[Any], says: str) -> None:
    said = fault(type_, part, rows)
    assert said.startswith("task_data_invalid: ")
    assert says in said


@pytest.mark.parametrize(
    ("type_", "part", "rows", "says"),
    [
        (TEXTS, "train", [{"text": "a", "label": 1}] * 3, "train part has 1 different labels"),
        (WORDS, "test", [{"tokens": ["a"], "tags": ["O"]}] * 3, "test part has no entity"),
        (FOUND, "judgements", [{**GRADE, "grade": 0}], "No document is relevant"),
        (PAIRS, "pairs", [PAIR] * 4, "4 pairs with 1 different grades"),
    ],
)
def test_data_that_nothing_can_be_scored_on(
    type_: str, part: str, rows: list[Any], says: str
) -> None:
    parts: Any = DATA[type_]()
    with pytest.raises(TaskDataError, match=says):
        read(type_, {**parts, part: rows})


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(0, 3) | st.text(max_size=3)
anything = st.recursive(
    scalars | st.sampled_from(["O", "B-PER"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
NAMES = ["text", "label", "tokens", "tags", "id", "query_id", "document_id", "grade"]
NAMES += ["sentence1", "sentence2", "score"]


@settings(max_examples=15)
@given(st.data())
def test_rows_of_any_shape_are_read_or_refused(data: st.DataObject) -> None:
    rows = st.lists(st.dictionaries(st.sampled_from(NAMES), anything, min_size=3), max_size=4)
    for type_, make in DATA.items():
        parts: Any = {part: data.draw(rows) for part in make()}
        with suppress(UserFault, TaskDataError):
            assert read(type_, parts)
