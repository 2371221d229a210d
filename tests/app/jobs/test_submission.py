"""Every fault of a submission is named where it is, in plain words."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.recipe import Recipe
from app.errors import ProblemError, UnprocessableError
from app.jobs.schemas import JobRequest
from app.jobs.submission import FIELDS, read_form, read_json

BASE = {"base_model": "org/model", "corpus_id": "corpus_1"}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def refused(**fields: Any) -> UnprocessableError:
    with pytest.raises(UnprocessableError) as refusal:
        read_json(orjson.dumps({**BASE, **fields}))
    return refusal.value


def faults(**recipe: Any) -> dict[str, str]:
    error = refused(recipe=recipe)
    assert error.code == "invalid_recipe"
    return {fault.pointer: fault.detail for fault in error.members["errors"]}


def test_the_least_gets_every_default() -> None:
    request = read_json(orjson.dumps(BASE))
    assert request.recipe == Recipe()
    assert request.metadata == {}


def test_null_is_the_default() -> None:
    nulls = dict.fromkeys(("recipe", "metadata", "name", "revision", "webhook"))
    assert read_json(orjson.dumps({**BASE, **nulls})) == read_json(orjson.dumps(BASE))


def test_what_asks_for_nothing_is_accepted() -> None:
    recipe = {
        "tokenizer": {"multiword": 0},
        "recovery": {"objective": "none", "epochs": None},
        "evaluation": {"task": None},
        "export": {"onnx": False, "int8": False},
        "gate": {},
    }
    assert read_json(orjson.dumps({**BASE, "recipe": recipe})).recipe.recovery.objective == "none"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "slow"),
        ("objective", "mlm+clm"),
        ("epochs", 0),
        ("max_steps", 0),
        ("max_steps", 1.5),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("learning_rate", 2),
        ("max_length", 4),
        ("keep_layers", 0),
        ("keep_layers", [0, 5]),
        ("max_minutes", 0),
        ("embedding_steps", -1),
    ],
)
def test_what_a_recovery_cannot_be_is_refused_by_name(name: str, value: Any) -> None:
    assert list(faults(recovery={name: value})) == [f"/recipe/recovery/{name}"]


def test_every_field_of_a_recovery_can_be_said() -> None:
    asked = {
        "preset": "max",
        "objective": "mlm+distill",
        "epochs": 1.5,
        "max_steps": 10,
        "batch_size": 8,
        "learning_rate": 1e-4,
        "max_length": 64,
        "keep_layers": 3,
        "max_minutes": 1,
        "embedding_steps": 5,
        "general_corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
        "general_share": 0.3,
        "queries_corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0q",
        "pseudo_queries": False,
    }
    request = read_json(orjson.dumps({**BASE, "recipe": {"recovery": asked}}))
    assert request.recipe.recovery.model_dump() == asked


@pytest.mark.parametrize(
    ("export", "wanted"), [({}, False), ({"onnx": False}, False), ({"int8": True}, True)]
)
def test_an_export_is_wanted_where_a_file_is(export: dict[str, bool], wanted: bool) -> None:
    request = read_json(orjson.dumps({**BASE, "recipe": {"export": export}}))
    assert request.recipe.export.wanted is wanted


def test_webhooks_come_later() -> None:
    error = refused(webhook="https://example.org/hook")
    assert error.code == "invalid_request"
    assert error.detail.startswith("/webhook: not available in this version: webhooks")


def test_no_planned_field_exists_yet() -> None:
    for *path, name in FIELDS:
        model = JobRequest
        for part in path:
            model = model.model_fields[part].annotation  # type: ignore[assignment]
        assert name not in model.model_fields


def test_an_unknown_field_names_the_known_ones() -> None:
    assert faults(tokeniser={})["/recipe/tokeniser"] == (
        "unknown field; known here are `vocab_size`, `tokenizer`, `transfer`, `recovery`, "
        "`evaluation`, `export`, `gate`, `target`, `seed`"
    )
    assert "`holdout_fraction`, `latency`" in faults(evaluation={"x": 1})["/recipe/evaluation/x"]


def test_every_fault_is_named_at_once() -> None:
    found = faults(vocab_size=0, seed="1", export={"onnx": 1}, transfer={"a/b": 1})
    assert set(found) == {
        "/recipe/vocab_size",
        "/recipe/seed",
        "/recipe/export/onnx",
        "/recipe/transfer/a~1b",
    }


@pytest.mark.parametrize("size", [0, -1, 1.5, "0.5", True, None, {}, 0.5 + 2])
def test_a_size_is_a_fraction_or_a_count(size: Any) -> None:
    assert list(faults(vocab_size=size)) == ["/recipe/vocab_size"]


@pytest.mark.parametrize("size", [1e308, 1.0, 2, 1e-9])
def test_any_other_size_is_one(size: float) -> None:
    assert read_json(orjson.dumps({**BASE, "recipe": {"vocab_size": size}}))


@pytest.mark.parametrize("sizes", [[0.5], [0.5, 0.25, 8000], [n / 16 for n in range(1, 17)]])
def test_a_list_of_sizes_is_a_sweep(sizes: list[float]) -> None:
    request = read_json(orjson.dumps({**BASE, "recipe": {"vocab_size": sizes}}))
    assert request.recipe.sizes == request.recipe.vocab_size == sizes


@pytest.mark.parametrize(
    "sizes", [[], [0.5, 0.5], [1, 1.0], [0.5, "1"], [0.5, [0.25]], [0.5, 1.5], list(range(2, 19))]
)
def test_a_sweep_is_of_sizes_each_once(sizes: list[Any]) -> None:
    assert list(faults(vocab_size=sizes)) == ["/recipe/vocab_size"]


def test_the_schema_has_both_forms_of_a_size() -> None:
    number, several = Recipe.model_json_schema()["properties"]["vocab_size"]["anyOf"]
    assert (number["type"], several["items"]["type"], several["maxItems"]) == (
        "number",
        "number",
        16,
    )


@pytest.mark.parametrize(
    ("recipe", "pointer"),
    [
        ({"gate": {"min_quality": 0}}, "/recipe/gate/min_quality"),
        ({"gate": {"min_quality": 90}}, "/recipe/gate/min_quality"),
        ({"gate": {"max_bytes": 0.5}}, "/recipe/gate/max_bytes"),
        ({"gate": {"max_bytes": 0}}, "/recipe/gate/max_bytes"),
        ({"gate": {"quality": 1}}, "/recipe/gate/quality"),
        ({"tokenizer": {"multiword": -1}}, "/recipe/tokenizer/multiword"),
        ({"tokenizer": {"multiword": 1.5}}, "/recipe/tokenizer/multiword"),
        ({"tokenizer": {"keep_tokens": [""]}}, "/recipe/tokenizer/keep_tokens/0"),
    ],
)
def test_what_is_out_of_bounds(recipe: dict[str, Any], pointer: str) -> None:
    assert list(faults(**recipe)) == [pointer]


def test_a_gate_and_multiword_tokens_are_taken() -> None:
    recipe = {"gate": {"min_quality": 0.9, "max_bytes": None}, "tokenizer": {"multiword": 500}}
    taken = read_json(orjson.dumps({**BASE, "recipe": recipe})).recipe
    assert (taken.gate.min_quality, taken.gate.max_bytes) == (0.9, None)
    assert taken.tokenizer.multiword == 500


def test_infinity_is_no_size() -> None:
    with pytest.raises(ValueError, match="finite"):
        Recipe(vocab_size=float("inf"))


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {str(number): "x" for number in range(17)}},
        {"metadata": {"k" * 65: "x"}},
        {"metadata": {"k": "x" * 513}},
        {"metadata": {"k": 1}},
        {"metadata": ["k"]},
        {"name": "a\nb"},
        {"name": ""},
        {"revision": "\0"},
        {"base_model": 5},
        {"corpus_id": None},
        {"unknown": 1},
    ],
)
def test_other_faults_are_of_the_request(fields: dict[str, Any]) -> None:
    error = refused(**fields)
    assert error.code == "invalid_request"
    assert error.members["errors"][0].pointer.startswith(f"/{next(iter(fields))}")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"NaN", b'{"a": 1e400}', b'"\\ud800"', b"[" * 5000, b"\xff"]
)
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(ProblemError) as refusal:
        read_json(body)
    assert refusal.value.code == "malformed_json"


@given(st.dictionaries(st.sampled_from([*JobRequest.model_fields, "webhook", "x"]), anything))
def test_nothing_breaks_the_reader(document: dict[str, Any]) -> None:
    recipe = {"tokenizer": document, "recovery": document, "evaluation": document}
    for body in (document, {**BASE, "recipe": document}, {**BASE, "recipe": recipe}):
        try:
            text = orjson.dumps(body)
        except TypeError:  # an integer that no JSON parser here would take
            continue
        with suppress(ProblemError):
            read_json(text)


def test_a_form_reads_as_json_does() -> None:
    form = {"base_model": "org/model", "recipe": '{"seed": 7}', "metadata": '{"a": "b"}'}
    fields = read_form(form)
    assert (fields.recipe.seed, fields.metadata) == (7, {"a": "b"})


def test_a_field_that_holds_no_json() -> None:
    with pytest.raises(UnprocessableError) as refusal:
        read_form({"base_model": "org/model", "recipe": "{vocab_size: 1}"})
    assert refusal.value.code == "invalid_recipe"
    assert refusal.value.members["errors"][0].pointer == "/recipe"
