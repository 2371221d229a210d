"""Targets that nothing reaches or that contradict the rest of a recipe, refused at submission."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.contract import recipe as contract
from app.contract.names import RUNTIMES
from app.errors import UnprocessableError
from app.jobs.schemas import JobFields
from app.jobs.submission import read_json
from app.jobs.validation import check_base_model
from app.settings import Settings
from tests.support.model_folders import make_model
from tests.support.sound_model import make_sound

Recipe = dict[str, Any]


def submitted(recipe: Recipe) -> JobFields:
    fields = {"base_model": "org/model", "corpus_id": "corpus_a", "recipe": recipe}
    return read_json(orjson.dumps(fields))


def checked(folder: Path, recipe: Recipe) -> None:
    check_base_model(submitted(recipe), Settings(models_dir=folder, hub=False))


TUNED = {"type": "sequence_classification", "train": "corpus_a", "test": "corpus_b"}
STATIC: Recipe = {
    "evaluation": {"task": TUNED},
    "target": {"max_bytes": 9, "runtime": "static"},
}


@pytest.mark.parametrize(
    ("recipe", "pointer", "says"),
    [
        ({"target": {}}, "", "at least one of"),
        ({"target": {"runtime": "torch"}}, "", "at least one of"),
        ({"target": {"max_bytes": None}}, "", "at least one of"),
        ({"target": {"max_bytes": 9}, "gate": {"min_quality": 0.5}}, "", "not both"),
        ({"target": {"max_bytes": 9}, "gate": {"max_bytes": 9}}, "", "not both"),
        ({"target": {"max_bytes": 9}, "vocab_size": [0.5, 0.1]}, "", "`vocab_size`"),
        ({"target": {"max_bytes": 9}, "vocab_size": [0.25]}, "", "`vocab_size`"),
        ({"target": {"max_bytes": 9}, "vocab_size": 0.25}, "", "`vocab_size`"),
        ({"target": {"max_bytes": 9}, "vocab_size": 0.25, "gate": {}}, "", "`vocab_size`"),
        ({"target": {"max_bytes": 9}, "vocab_size": 8000}, "", "`vocab_size`"),
        ({"target": {"max_ms": 9}, "recovery": {"keep_layers": 2}}, "", "keep_layers`"),
        ({"target": {"max_ms": 9}, "evaluation": {"latency": False}}, "", "evaluation.latency`"),
        (STATIC, "", "`static` has no head to fine-tune, so `sequence_classification`"),
        (
            {**STATIC, "target": {"max_bytes": 9, "runtime": "static", "metric": "accuracy"}},
            "",
            "in `metric` what is measured without",
        ),
        ({"target": {"max_bytes": 0}}, "/max_bytes", "greater than 0"),
        ({"target": {"max_bytes": 1.5}}, "/max_bytes", "integer"),
        ({"target": {"max_ms": -1}}, "/max_ms", "greater than 0"),
        ({"target": {"min_quality": 1.5}}, "/min_quality", "less than or equal to 1"),
        ({"target": {"max_ms": 1, "batch_size": 0}}, "/batch_size", "greater than or equal"),
        ({"target": {"max_ms": 1, "batch_size": 10**6}}, "/batch_size", "less than or equal"),
        (
            {"target": {"max_ms": 1, "runtime": "tpu"}},
            "/runtime",
            "'torch', 'onnx', 'onnx-int8'",
        ),
        ({"target": {"max_ms": 1, "metric": "beauty"}}, "/metric", "'macro_f1'"),
        ({"target": {"max_ms": 1, "speed": 2}}, "/speed", "known here are `max_bytes`"),
        ({"target": [1]}, "", "dictionary"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_place(
    recipe: Recipe, pointer: str, says: str
) -> None:
    with pytest.raises(UnprocessableError) as refusal:
        submitted(recipe)
    assert refusal.value.code == "invalid_recipe"
    [error] = refusal.value.members["errors"]
    assert error.pointer == f"/recipe/target{pointer}"
    assert says in error.detail


@pytest.mark.parametrize(
    "recipe",
    [
        {"target": {"max_bytes": 10**9}},
        {"target": {"max_bytes": 10**9}, "gate": {}, "recovery": {}},
        {"target": {"max_ms": 2, "min_quality": 1, "runtime": "torch", "batch_size": 256}},
        {"target": {"min_quality": 0.9, "metric": "sentence_cosine"}},
        {"target": None, "vocab_size": [0.5, 0.1]},
    ],
)
def test_what_can_be_asked_is_taken(tmp_path: Path, recipe: Recipe) -> None:
    make_sound(tmp_path / "org" / "model")
    checked(tmp_path, recipe)


def test_the_file_of_the_runtime_is_written_without_being_asked_for() -> None:
    asked = {"max_bytes": 9, "runtime": "onnx-int8"}
    assert submitted({"target": asked}).recipe.runtimes == ["onnx", "onnx-int8"]
    plain = {"target": {**asked, "runtime": "torch"}}
    assert submitted(plain).recipe.runtimes == []
    assert submitted({**plain, "export": {"onnx": True}}).recipe.runtimes == ["onnx"]


def test_static_vectors_are_judged_by_what_needs_no_head_beside_a_task_that_fine_tunes() -> None:
    named = {"max_bytes": 9, "runtime": "static", "metric": "sentence_cosine"}
    assert submitted({**STATIC, "target": named}).recipe.runtimes == ["static"]
    assert submitted({**STATIC, "target": {"max_bytes": 9, "runtime": "any"}}).recipe.target


def test_what_a_model_is_exported_for_follows_from_what_fits() -> None:
    recipe = submitted({"target": {"max_bytes": 9, "runtime": "any"}}).recipe
    assert recipe.runtimes == []
    assert recipe.runtimes_with(["torch", "onnx-int4"]) == ["onnx", "onnx-int4"]
    assert set(recipe.most_runtimes) == {name for name, row in RUNTIMES.items() if row.field}
    assert recipe.most_models == 4


def test_any_runtime_is_one_that_the_model_has(tmp_path: Path) -> None:
    make_model(tmp_path / "org" / "model", model_type="t5")
    recipe: Recipe = {"target": {"max_bytes": 10**9, "runtime": "any"}}
    checked(tmp_path, recipe)
    with pytest.raises(UnprocessableError, match=r"Leave `export` out") as refusal:
        checked(tmp_path, {**recipe, "export": {"int8": True}})
    assert refusal.value.members["errors"][0].pointer == "/recipe/export"


def test_in_any_runtime_less_is_within_reach_than_in_the_largest(tmp_path: Path) -> None:
    make_sound(tmp_path / "org" / "model")
    with pytest.raises(UnprocessableError) as refusal:
        checked(tmp_path, {"target": {"max_bytes": 100, "runtime": "any"}})
    assert refusal.value.code == "target_out_of_reach"
    with pytest.raises(UnprocessableError, match="fits in 1 byte in PyTorch:"):
        checked(tmp_path, {"target": {"max_bytes": 1, "runtime": "torch"}})
    # The message names the runtime of the smallest, which is in reach by itself.
    told = re.search(r" (?:in|as) ([^,]+), takes about ([\d,]+)\. ", refusal.value.detail)
    assert told
    label, least = told[1], int(told[2].replace(",", ""))
    [runtime] = [name for name, row in RUNTIMES.items() if row.label.lower() == label.lower()]
    for asked in ("any", runtime):
        checked(tmp_path, {"target": {"max_bytes": least, "runtime": asked}})
        with pytest.raises(UnprocessableError, match="fits in"):
            checked(tmp_path, {"target": {"max_bytes": least - 1, "runtime": asked}})


@pytest.mark.parametrize("runtime", ["torch", "onnx", "onnx-int8"])
def test_a_target_out_of_reach_names_the_smallest(tmp_path: Path, runtime: str) -> None:
    make_sound(tmp_path / "org" / "model")
    with pytest.raises(UnprocessableError) as refusal:
        checked(tmp_path, {"target": {"max_bytes": 100, "runtime": runtime}})
    assert refusal.value.code == "target_out_of_reach"
    assert refusal.value.members["errors"][0].pointer == "/recipe/target/max_bytes"
    named = refusal.value.detail.partition("takes about ")[2].partition(". ")[0]
    # So many are enough, and one fewer are not.
    least = int(named.replace(",", ""))
    checked(tmp_path, {"target": {"max_bytes": least, "runtime": runtime}})
    with pytest.raises(UnprocessableError, match="fits in"):
        checked(tmp_path, {"target": {"max_bytes": least - 1, "runtime": runtime}})


def test_a_model_that_the_runtime_has_no_form_of_is_refused(tmp_path: Path) -> None:
    make_model(tmp_path / "org" / "model", model_type="t5")
    with pytest.raises(UnprocessableError, match=r"Name `torch` as `target\.runtime`") as refusal:
        checked(tmp_path, {"target": {"max_bytes": 10**9}})
    assert refusal.value.code == "export_unsupported"
    assert refusal.value.members["errors"][0].pointer == "/recipe/target/runtime"


def test_static_vectors_of_what_is_no_sentence_encoder_are_refused(tmp_path: Path) -> None:
    make_sound(tmp_path / "org" / "model")
    with pytest.raises(UnprocessableError, match="made of a sentence encoder") as refusal:
        checked(tmp_path, {"target": {"max_bytes": 10**9, "runtime": "static"}})
    assert refusal.value.code == "export_unsupported"
    assert refusal.value.members["errors"][0].pointer == "/recipe/target/runtime"


def test_a_metric_of_a_task_that_is_not_there_is_refused(tmp_path: Path) -> None:
    make_sound(tmp_path / "org" / "model")
    with pytest.raises(UnprocessableError, match="ndcg_at_10") as refusal:
        checked(tmp_path, {"target": {"min_quality": 0.9, "metric": "ndcg_at_10"}})
    assert refusal.value.code == "gate_metric_not_measured"
    assert refusal.value.members["errors"][0].pointer == "/recipe/target/metric"


def test_a_recipe_that_a_job_has_is_read_and_taken_again() -> None:
    recipe = submitted({"target": {"max_bytes": 9}}).recipe
    kept = recipe.model_dump(mode="json")
    assert kept["vocab_size"] == 0.25
    assert contract.Recipe.stored(kept) == submitted(kept).recipe == recipe
    # A version that had fewer fields stored fewer.
    del kept["seed"]
    assert contract.Recipe.stored(kept) == recipe
    with pytest.raises(UnprocessableError, match="leave out `vocab_size`"):
        submitted({**recipe.model_dump(mode="json"), "vocab_size": 0.3})
