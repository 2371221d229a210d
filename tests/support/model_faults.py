"""Faults of a sound model's files, each of which shows in the files alone."""

from collections.abc import Callable
from typing import Any

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
    {"head_dim": 4096},
    {"embedding_size": 10**9},
    {"relative_attention_num_buckets": 10**9},
    {"max_relative_positions": 10**9},
    {"conv_kernel_size": 10**9},
]
"""Sizes of a config that its weights do not bear out."""

VALUES: list[dict[str, Any]] = [
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
]
"""Values of a config that are none."""

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


def doubling(kind: str, pattern: str = "a", content: str = "aa") -> dict[str, Any]:
    """Return 36 normalizers of which each makes a text twice as long."""
    part = {"type": "Replace", "pattern": {kind: pattern}, "content": content}
    return {"type": "Sequence", "normalizers": [part] * 36}


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
    "normalizers that double": lambda t: t.update(normalizer=doubling("String")),
    "expressions that double": lambda t: t.update(normalizer=doubling("Regex")),
    "empty matches": lambda t: t.update(normalizer=doubling("Regex", "x*", "a")),
    "decoders that double": lambda t: t.update(
        decoder={"type": "Sequence", "decoders": doubling("String")["normalizers"]}
    ),
    "bytes of bytes": lambda t: t.update(
        pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}] * 36}
    ),
    "fixed padding": lambda t: t.update(padding={"strategy": {"Fixed": 10**9}}),
    "padding to a multiple": lambda t: t.update(
        padding={"strategy": "BatchLongest", "pad_to_multiple_of": 10**9}
    ),
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
"""Faults of a tokenizer beside its model."""

SETTINGS: list[dict[str, Any]] = [
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
]
"""Settings in tokenizer_config.json that are none."""
