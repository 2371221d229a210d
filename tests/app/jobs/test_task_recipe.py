"""A task of the recipe: what it may be, and each fault named where it is."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.recipe import TASKS, GateRecipe, Recipe, metric_fault
from app.errors import ProblemError, UnprocessableError
from app.jobs.submission import read_json
from tests.support.task_uploads import PARTS

BASE = {"base_model": "org/model", "corpus_id": "corpus_1"}
TEXTS = {"type": "sequence_classification", "train": "corpus_a", "test": "corpus_b"}
FOUND = {"type": "retrieval", "documents": "d", "queries": "q", "judgements": "j"}
PAIRS = {"type": "sentence_pairs", "pairs": "p"}


def taken(task: Any, **recipe: Any) -> Recipe:
    body = {**BASE, "recipe": {"evaluation": {"task": task}, **recipe}}
    return read_json(orjson.dumps(body)).recipe


def faults(task: Any, **recipe: Any) -> dict[str, str]:
    with pytest.raises(UnprocessableError) as refusal:
        taken(task, **recipe)
    assert refusal.value.code == "invalid_recipe"
    return {fault.pointer: fault.detail for fault in refusal.value.members["errors"]}


@pytest.mark.parametrize("type_", PARTS)
def test_the_least_gets_every_default_and_is_stored_whole(type_: str) -> None:
    task = taken({"type": type_, **{name: f"corpus_{name}" for name in PARTS[type_]}})
    stored = task.model_dump(mode="json")
    assert Recipe.model_validate(stored) == task
    assert task.evaluation.task
    assert task.evaluation.task.corpora == {name: f"corpus_{name}" for name in PARTS[type_]}
    fields = TASKS[type_].model_fields
    assert set(stored["evaluation"]["task"]) == set(fields)


def test_the_protocol_has_the_defaults_that_are_documented() -> None:
    task = taken(TEXTS).evaluation.task
    assert task
    assert task.model_dump() == TEXTS | {
        **{"text_field": "text", "label_field": "label", "seeds": 3, "epochs": 3},
        **{"batch_size": 32, "learning_rate": 5e-5, "max_length": 128},
    }


@pytest.mark.parametrize(
    ("task", "pointer", "says"),
    [
        ({}, "/type", "`sequence_classification`, `token_classification`, `retrieval`"),
        ({"type": "ner"}, "/type", "`sentence_pairs`"),
        ({"type": None}, "/type", "give one of"),
        ("retrieval", "", "dictionary"),
        (TEXTS | {"text": "t"}, "/text", "known here are `train`, `test`, `seeds`"),
        (TEXTS | {"test": "corpus_a"}, "/test", "no model was trained on"),
        (TEXTS | {"train": 5}, "/train", "string"),
        (TEXTS | {"train": "a\nb"}, "/train", "pattern"),
        (TEXTS | {"seeds": 0}, "/seeds", "1"),
        (TEXTS | {"seeds": 21}, "/seeds", "20"),
        (TEXTS | {"epochs": 1.5}, "/epochs", "integer"),
        (TEXTS | {"batch_size": 1025}, "/batch_size", "1024"),
        (TEXTS | {"learning_rate": 0}, "/learning_rate", "0"),
        (TEXTS | {"max_length": 7}, "/max_length", "8"),
        (TEXTS | {"label_field": ""}, "/label_field", "1 character"),
        ({"type": "token_classification", "train": "a"}, "/test", "required"),
        (FOUND | {"judgements": None}, "/judgements", "string"),
        (PAIRS | {"text_fields": ["a"]}, "/text_fields", "2 items"),
        (PAIRS | {"text_fields": ["a", "a"]}, "/text_fields", "two different"),
        (PAIRS | {"text_fields": ["a", 1]}, "/text_fields/1", "string"),
    ],
)
def test_a_fault_is_named_where_it_is(task: Any, pointer: str, says: str) -> None:
    found = faults(task)
    assert list(found) == [f"/recipe/evaluation/task{pointer}"]
    assert says in found[f"/recipe/evaluation/task{pointer}"]


some = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=4)
NAMES = sorted({name for task in TASKS.values() for name in task.model_fields} - {"type"})


@given(
    task=st.dictionaries(st.sampled_from([*NAMES, "x"]), some | st.lists(some, max_size=3)),
    type_=st.sampled_from([*TASKS, "x"]) | some,
)
def test_nothing_breaks_the_reader(task: dict[str, Any], type_: Any) -> None:
    with suppress(ProblemError):
        taken({**task, "type": type_})


def test_the_gate_may_name_its_metric() -> None:
    gate = {"min_quality": 0.9, "metric": "macro_f1"}
    assert taken(TEXTS, gate=gate).gate == GateRecipe(min_quality=0.9, metric="macro_f1")


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({"min_quality": 0.9, "metric": "bleu"}, "'macro_f1', 'accuracy', 'entity_f1'"),
        ({"min_quality": 0.9, "metric": 1}, "'spearman'"),
        ({"metric": "macro_f1"}, "without `min_quality`"),
        ({"metric": "macro_f1", "max_bytes": 9}, "without `min_quality`"),
    ],
)
def test_a_gate_of_no_metric_is_refused(gate: dict[str, Any], says: str) -> None:
    found = faults(TEXTS, gate=gate)
    assert list(found) == ["/recipe/gate/metric"]
    assert says in found["/recipe/gate/metric"]


def test_a_metric_is_of_its_task() -> None:
    task = taken(TEXTS).evaluation.task
    assert metric_fault("macro_f1", task) is None
    assert metric_fault("sentence_cosine", None) is None
    assert metric_fault(None, task) is None
    assert metric_fault("accuracy", task) is None
    for metric, has in (("entity_f1", task), ("macro_f1", None), ("entity_recall", None)):
        said = metric_fault(metric, has)
        assert said
        assert "_classification`" in said
