"""Faults of a model that its files alone show, and sizes that its weights do not bear out."""

import copy
import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.base_models.checks import examine, training_facts
from app.base_models.tokenizer_checks import regex_fault
from app.contract.errors import UserFault
from tests.support.model_folders import write_json
from tests.support.sound_model import (
    CONFIG,
    TOKENIZER_CONFIG,
    make_sound,
    shapes,
    tokenizer,
    write_tensors,
)

MOST = 1 << 30


def fault_of(folder: Path) -> str:
    with pytest.raises(UserFault) as raised:
        examine(folder, MOST)
    assert raised.value.code == "invalid_model"
    return raised.value.message


def test_the_sound_model_is_sound(tmp_path: Path) -> None:
    assert examine(make_sound(tmp_path / "m"), MOST).vocab_size == 31


ABSURD: list[dict[str, Any]] = [
    {"num_hidden_layers": 10**9},
    {"num_hidden_layers": 1001},
    {"num_hidden_layers": 3},
    {"id2label": {str(i): f"L{i}" for i in range(100_000)}},
    {"label2id": {f"L{i}": i for i in range(100_000)}},
    {"id2label": None, "label2id": None, "num_labels": 10**6},
    {"num_labels": 10**12},
    {"architectures": ["BertModel"], "num_labels": 10**6},
    {"max_position_embeddings": 10**8},
    {"max_position_embeddings": 15},
    {"hidden_size": 10**9},
    {"hidden_size": 12},
    {"intermediate_size": 10**9},
    {"intermediate_size": 13},
    {"vocab_size": 10**12},
    {"num_attention_heads": 10**9},
    {"num_key_value_heads": 10**9},
    {"type_vocab_size": 10**9},
    {"num_experts": 10**9},
    {"num_local_experts": 10**9},
    {"head_dim": 10**9},
    {"embedding_size": 10**9},
    {"relative_attention_num_buckets": 10**9},
    {"max_relative_positions": 10**9},
    {"conv_kernel_size": 10**9},
]


@pytest.mark.parametrize("config", ABSURD, ids=",".join)
def test_absurd_sizes_cost_nothing(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = make_sound(tmp_path / "m", **config)
    began = time.monotonic()
    said = fault_of(folder)
    assert time.monotonic() - began < 1
    tracemalloc.start()
    fault_of(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    assert any(f"`{name}`" in said or "tokens" in said for name in config), said


def test_other_types_have_their_own_names_of_sizes(tmp_path: Path) -> None:
    gpt2: dict[str, Any] = {
        "n_embd": 8,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 16,
        "hidden_size": None,
    }
    gpt2 |= {"model_type": "gpt2", "num_hidden_layers": None, "intermediate_size": None}
    tensors = {"wte.weight": [40, 8], "wpe.weight": [16, 8]}
    tensors |= {f"h.{n}.mlp.c_fc.weight": [8, 32] for n in range(2)}
    changes: list[dict[str, Any]] = [{}, {"n_layer": 10**9}, {"n_embd": 9}]
    changes += [{"n_positions": 10**8}, {"n_inner": 10**9}]
    for number, change in enumerate(changes):
        config = {**gpt2, "max_position_embeddings": None, "id2label": None, "label2id": None}
        folder = make_sound(tmp_path / str(number), **config)
        write_json(folder / "config.json", {**CONFIG, **config, **change})
        write_tensors(folder / "model.safetensors", tensors)
        if change:
            assert f"`{next(iter(change))}`" in fault_of(folder)
        else:
            examine(folder, MOST)


def test_rotary_positions_have_no_table(tmp_path: Path) -> None:
    tensors = {name: shape for name, shape in shapes().items() if "position" not in name}
    for positions, is_sound in ((131_072, True), (10_485_760, True), (10**8, False)):
        config = {"model_type": "llama", "max_position_embeddings": positions}
        folder = make_sound(tmp_path / str(positions), **config)
        write_tensors(folder / "model.safetensors", tensors)
        if is_sound:
            examine(folder, MOST)
        else:
            assert "positions" in fault_of(folder) or "position" in fault_of(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"vocab_size": "40"},
        {"vocab_size": 40.0},
        {"vocab_size": [40]},
        {"vocab_size": True},
        {"vocab_size": -40},
        {"hidden_size": "8"},
        {"hidden_size": -8},
        {"hidden_size": 0},
        {"num_hidden_layers": "2"},
        {"num_hidden_layers": 2.5},
        {"num_attention_heads": 3},
        {"num_attention_heads": 0},
        {"num_attention_heads": -2},
        {"layer_types": ["full_attention"]},
        {"layer_types": "full_attention"},
        {"hidden_act": 3},
        {"hidden_act": ["gelu"]},
        {"dtype": "float99"},
        {"torch_dtype": "float99"},
        {"dtype": 7},
        {"dtype": "load"},
        {"layer_norm_eps": "x"},
        {"layer_norm_eps": float("nan")},
        {"hidden_dropout_prob": 2.0},
        {"hidden_dropout_prob": "0.1"},
        {"initializer_range": -1},
        {"pad_token_id": -5},
        {"pad_token_id": "0"},
        {"eos_token_id": [1, -7]},
        {"is_decoder": "yes"},
        {"tie_word_embeddings": 1},
        {"id2label": ["a"]},
        {"id2label": {"x": "a"}},
        {"text_config": [1]},
        {"max_position_embeddings": "16"},
    ],
    ids=str,
)
def test_values_of_a_config(tmp_path: Path, config: dict[str, Any]) -> None:
    name = next(iter(config))
    assert (
        f"`{name}`" in (said := fault_of(make_sound(tmp_path / "m", **config))) or "tokens" in said
    )


Change = Callable[[dict[str, Any]], object]
MODEL: dict[str, Change] = {
    "negative id": lambda m: m["vocab"].update(a=-3),
    "id beyond the rows": lambda m: m["vocab"].update(a=40),
    "huge id": lambda m: m["vocab"].update(a=2**40),
    "id of text": lambda m: m["vocab"].update(a="7"),
    "id of a float": lambda m: m["vocab"].update(a=7.5),
    "null id": lambda m: m["vocab"].update(a=None),
    "one id twice": lambda m: m["vocab"].update(a=7),
    "unknown token missing": lambda m: m.update(unk_token="<none>"),
    "unknown token a number": lambda m: m.update(unk_token=5),
    "negative length": lambda m: m.update(max_input_chars_per_word=-1),
    "vocab a list": lambda m: m.update(vocab=[["a", 1.0]]),
    "vocab a string": lambda m: m.update(vocab="abc"),
    "merge of no token": lambda m: m.update(type="BPE", merges=["q z"]),
    "merge of a number": lambda m: m.update(type="BPE", merges=[5]),
    "merge of three": lambda m: m.update(type="BPE", merges=["a b c"]),
    "merges an object": lambda m: m.update(type="BPE", merges={"a": "b"}),
    "unk_id beyond": lambda m: m.update(type="Unigram", vocab=[["a", 0.0]], unk_id=9),
    "unk_id negative": lambda m: m.update(type="Unigram", vocab=[["a", 0.0]], unk_id=-1),
    "score NaN": lambda m: m.update(type="Unigram", vocab=[["a", float("nan")]]),
    "score of text": lambda m: m.update(type="Unigram", vocab=[["a", "x"]]),
}


def split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated"}


REST: dict[str, Change] = {
    "no model": lambda t: t.pop("model"),
    "added beyond the rows": lambda t: t["added_tokens"].append({"id": 99, "content": "<x>"}),
    "added negative": lambda t: t["added_tokens"].append({"id": -1, "content": "<x>"}),
    "added without content": lambda t: t["added_tokens"].append({"id": 3}),
    "added a string": lambda t: t["added_tokens"].append("x"),
    "added an object": lambda t: t.update(added_tokens={"x": 1}),
    "added null": lambda t: t.update(added_tokens=None),
    "regex open": lambda t: t.update(pre_tokenizer=split("([")),
    "regex nested": lambda t: t.update(
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split("(a")]}
    ),
    "regex of a normalizer": lambda t: t.update(normalizer=split("*a")),
    "regex of a decoder": lambda t: t.update(decoder=split("a)")),
    "regex a number": lambda t: t.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": 5}}),
    "part without type": lambda t: t.update(normalizer={"form": "NFC"}),
    "charsmap": lambda t: t.update(
        normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    ),
    "charsmap no base64": lambda t: t.update(
        normalizer={"type": "Precompiled", "precompiled_charsmap": "!!"}
    ),
    "template token missing": lambda t: t["post_processor"].update(special_tokens={}),
    "template id": lambda t: t["post_processor"]["special_tokens"]["[CLS]"].update(ids=[99]),
    "template negative": lambda t: t["post_processor"]["special_tokens"]["[CLS]"].update(ids=[-1]),
    "template a string": lambda t: t["post_processor"].update(single="$A"),
    "end beyond": lambda t: t.update(
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 99], "cls": ["[CLS]", 2]}
    ),
}


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ({}, 31),
        ({"type": None}, 31),
        ({"merges": [], "unk_token": None, "vocab": {"[UNK]": 1, "a": 5}}, 6),
        ({"vocab": [["[UNK]", 0.0], ["a", -1.0]], "unk_id": 0}, 6),
    ],
)
def test_a_tokenizer_of_the_first_versions_has_no_type(
    tmp_path: Path, model: dict[str, Any], tokens: int
) -> None:
    folder, content = make_sound(tmp_path / "m", model_type="t5"), tokenizer()
    del content["model"]["type"]
    content["model"] |= model
    write_json(folder / "tokenizer.json", content)
    assert examine(folder, MOST).vocab_size == tokens


@pytest.mark.parametrize("name", [*MODEL, *REST])
def test_faults_of_a_tokenizer(tmp_path: Path, name: str) -> None:
    folder, content = make_sound(tmp_path / "m", model_type="t5"), tokenizer()
    if name in MODEL:
        MODEL[name](content["model"])
    else:
        REST[name](content)
    write_json(folder / "tokenizer.json", content)
    assert fault_of(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"model_max_length": -1},
        {"model_max_length": 0},
        {"model_max_length": "512"},
        {"model_max_length": [1]},
        {"tokenizer_class": 7},
        {"tokenizer_class": ["BertTokenizer"]},
        {"padding_side": "up"},
        {"truncation_side": 3},
        {"model_input_names": "input_ids"},
        {"model_input_names": [5]},
        {"additional_special_tokens": 5},
        {"additional_special_tokens": [5]},
        {"extra_special_tokens": 5},
        {"added_tokens_decoder": [1]},
        {"added_tokens_decoder": {"x": {"content": "a"}}},
        {"added_tokens_decoder": {"-4": {"content": "a"}}},
        {"added_tokens_decoder": {"3": 5}},
        {"chat_template": 5},
        {"chat_template": [{"name": "x"}]},
        {"pad_token": 3},
        {"pad_token": ["x"]},
        {"mask_token": {"content": 5}},
    ],
    ids=str,
)
def test_settings_of_a_tokenizer(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = make_sound(tmp_path / "m")
    write_json(folder / "tokenizer_config.json", {**TOKENIZER_CONFIG, **config})
    assert "tokenizer_config.json" in fault_of(folder)


@pytest.mark.parametrize("config", [{"pad_token": "<nope>"}, {"extra_special_tokens": ["<a>"]}])
def test_a_special_token_needs_a_row(tmp_path: Path, config: dict[str, Any]) -> None:
    for vocab_size, is_sound in ((40, True), (31, False)):
        folder = make_sound(tmp_path / str(vocab_size), vocab_size=vocab_size)
        tensors = shapes() | {"bert.embeddings.word_embeddings.weight": [vocab_size, 8]}
        write_tensors(folder / "model.safetensors", tensors)
        write_json(folder / "tokenizer_config.json", {**TOKENIZER_CONFIG, **config})
        if is_sound:
            examine(folder, MOST)
        else:
            assert "not in the vocabulary" in fault_of(folder)


@pytest.mark.parametrize(
    "expression",
    [
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}]++[\r\n]*|\s+",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"[\[\]()*+?]+",
        r"[]a]+",
        r"[^]a]",
        r"[[:alpha:]]+|[a[bc]]",
        r"\\|\(|\[",
        r"(?<=a)b(?=c)(?<!d)(?:e)(?>f)(?<name>g)",
        r"(?#*)a",
        "",
        r" {2,}",
        r"[^(\s|[.,!?…。、।])]+",
    ],
)
def test_expressions_that_compile_are_let_through(expression: str) -> None:
    assert regex_fault(expression) is None


@pytest.mark.parametrize(
    "expression", ["(", "a)", "[", "[a", "([", "*", "+a", "a|*", "(*", "\\", 5]
)
def test_expressions_that_cannot_compile(expression: object) -> None:
    if expression != "(*":  # a callout, which is left to the library
        assert regex_fault(expression)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 2**31, 2**63, 10**30])
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def places(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        part.items()
        if isinstance(part, dict)
        else enumerate(part)
        if isinstance(part, list)
        else ()
    )
    for key, value in list(items)[:12]:
        found += places(value, (*path, key))
    return found


FILES = {
    "config.json": CONFIG,
    "tokenizer.json": tokenizer(),
    "tokenizer_config.json": TOKENIZER_CONFIG,
}
SPOTS = [(name, path) for name, content in FILES.items() for path in places(content)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sound(tmp_path_factory.mktemp("models") / "m")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spot=st.sampled_from(SPOTS), value=anything)
def test_nothing_but_a_users_fault_is_raised(
    folder: Path, spot: tuple[str, tuple[Any, ...]], value: Any
) -> None:
    name, path = spot
    content = copy.deepcopy(FILES[name])
    part: Any = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (folder / name).write_text(json.dumps(content))
    try:
        with suppress(UserFault):
            examine(folder, MOST)
            training_facts(folder)
    finally:
        (folder / name).write_text(json.dumps(FILES[name]))
