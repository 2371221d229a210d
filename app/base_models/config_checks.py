"""Check the values of a config.json: their types, and their sizes against the weights' headers.

A module is built from what the config says, before a weight is read: a size that no tensor bears
out is refused here, so that it costs neither memory nor time.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from app.base_models.files import invalid_model
from app.base_models.weights import StoredTensor
from app.contract.architectures import Architecture

WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
"""The width of the hidden states, by model type."""
INNER_WIDTHS = ("intermediate_size", "n_inner", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
POSITIONS = ("max_position_embeddings", "n_positions")
# Settings that count modules, of which each has tensors of its own.
STACKS = ("num_hidden_groups", "inner_group_num", "num_experts", "num_local_experts")
OTHER_SIZES = (
    *("num_key_value_heads", "encoder_attention_heads", "decoder_attention_heads", "head_dim"),
    *("d_kv", "type_vocab_size", "relative_attention_num_buckets", "conv_kernel_size"),
    *("embedding_size", "pooler_hidden_size", "hidden_dim", "moe_intermediate_size"),
)
AT_MOST_TABLE = ("position_buckets", "max_relative_positions")
"""Like sizes, and -1 stands for a default."""
MAY_BE_ZERO = frozenset({"type_vocab_size", "conv_kernel_size"})
STRINGS = (
    *("hidden_act", "hidden_activation", "activation_function", "feed_forward_proj"),
    *("position_embedding_type", "classifier_pooling", "problem_type"),
)
BOOLEANS = (
    *("is_decoder", "is_encoder_decoder", "use_cache", "return_dict", "output_hidden_states"),
    *("output_attentions", "tie_word_embeddings"),
)
KINDS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(STRINGS, (str, "a string")),
    **dict.fromkeys(BOOLEANS, (bool, "true or false")),
    **dict.fromkeys(("text_config", "id2label", "label2id"), (dict, "an object")),
    "layer_types": (list, "a list"),
}
SHARE = re.compile(r"(dropout|dropout_prob|_pdrop)$")
NUMBER = re.compile(rf"(_eps|_epsilon|^initializer_range|^initializer_factor)$|{SHARE.pattern}")
TOKEN_ID = re.compile(r"(^|_)token_ids?$")
DTYPES = frozenset(
    {"auto", "float", "float64", "double", "float32", "float16", "half", "bfloat16"}
    | {"float8_e4m3fn", "float8_e5m2"}
)
# Their head's width is not that of the hidden states over the number of heads.
OWN_HEAD_WIDTH = frozenset({"t5", "mt5", "qwen3", "gemma", "gemma2", "gemma3_text"})
SHARE_LAYERS = frozenset({"albert"})
"""They run the same layer again and again."""
POSITION_TABLE = re.compile(r"(^|\.)(position_embeddings|embed_positions|wpe)\.weight$")
OFFSETS = (0, 2)
"""Rows of a table of positions beyond those that the config has: BART's has two."""
LAYER = re.compile(r"^(?:(.*?)\.)?(\d+)\.")
LEARNS_POSITIONS = frozenset(
    {"bert", "distilbert", "roberta", "xlm-roberta", "albert", "electra", "mpnet", "gpt2"}
    | {"bart", "mbart"}
)
# What has no table of its own is bounded alone: a model of today has up to 10 million positions.
MAX_POSITIONS = 1 << 24
MAX_LAYERS = 1000
SMALL = 4096
"""A size up to this one costs nothing, whatever the weights have."""
CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification")


def check_config(
    config: Mapping[str, Any], architecture: Architecture, tensors: Sequence[StoredTensor]
) -> None:
    """Refuse a config that no module can be built from, or that is not of these weights.

    Raises `UserFault`: `invalid_model`.
    """
    _check_types(config, architecture)
    _check_layers(config, architecture, tensors)
    _check_sizes(config, architecture, tensors)
    _check_positions(config, architecture, tensors)
    _check_labels(config, tensors)


def _wrong(name: str, value: object, what: str) -> Exception:
    return invalid_model(f"`{name}` of its config is {str(value)[:80]!r}, and {what}")


def _check_types(config: Mapping[str, Any], architecture: Architecture) -> None:
    counts = {*WIDTHS, *INNER_WIDTHS, *HEADS, *POSITIONS, *STACKS, *OTHER_SIZES, "vocab_size"}
    counts |= {*architecture.layer_counts, *architecture.decoder_layer_counts, "num_labels"}
    given = {name: value for name, value in config.items() if value is not None}
    for name, value in given.items():
        if name in counts:
            _check_count(name, value)
        elif NUMBER.search(name):
            _check_number(name, value)
        elif TOKEN_ID.search(name):
            _check_token_ids(name, value)
        elif name in KINDS and not isinstance(value, KINDS[name][0]):
            raise _wrong(name, value, f"it must be {KINDS[name][1]}")
    for name in ("dtype", "torch_dtype"):
        dtype = given.get(name, "auto")
        if str(dtype).removeprefix("torch.") not in DTYPES:
            raise _wrong(name, dtype, "it must be one of " + ", ".join(sorted(DTYPES)))


def _check_count(name: str, value: object) -> None:
    least = 0 if name in MAY_BE_ZERO else 1
    if type(value) is not int or value < least:
        raise _wrong(name, value, f"it must be a whole number of at least {least}")


def _check_number(name: str, value: object) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise _wrong(name, value, "it must be a finite number of at least 0")
    if SHARE.search(name) and value > 1:  # type: ignore[operator]
        raise _wrong(name, value, "it must be a number of 0 to 1")


def _check_token_ids(name: str, value: object) -> None:
    # Many configs have -1 for a token that there is not.
    for one in value if isinstance(value, list) else [value]:
        if type(one) is not int or not -1 <= one < 1 << 31:
            raise _wrong(name, value, "it must be the id of a token")


def _check_layers(
    config: Mapping[str, Any], architecture: Architecture, tensors: Iterable[StoredTensor]
) -> None:
    """Compare the numbers of layers with those of the layers that have tensors."""
    depths = _depths(tensors)
    first = next((name for name in architecture.layer_counts if config.get(name)), None)
    exact = set[str | None]()
    if depths and architecture.model_type not in SHARE_LAYERS:
        exact.add(first)
    if any("decoder" in stack for stack in depths):
        exact.update(architecture.decoder_layer_counts)
    for name in (*architecture.layer_counts, *architecture.decoder_layer_counts):
        count = config.get(name)
        if count is None:
            continue
        if count > MAX_LAYERS:
            raise _wrong(name, count, f"at most {MAX_LAYERS} are possible")
        if name in exact and count not in depths.values():
            raise _wrong(name, count, f"its weights have {max(depths.values())} layers")
    types = config.get("layer_types")
    if types is not None and first and len(types) != config[first]:
        raise _wrong("layer_types", types, f"it must have {config[first]} entries, one a layer")


def _depths(tensors: Iterable[StoredTensor]) -> dict[str, int]:
    """Return the number of layers of each stack, by the beginning of its tensors' names."""
    depths = dict[str, int]()
    for tensor in tensors:
        if found := LAYER.match(tensor.name):
            stack, number = found[1] or "", int(found[2][:9])
            depths[stack] = max(number + 1, depths.get(stack, 0))
    return depths


def _check_sizes(
    config: Mapping[str, Any], architecture: Architecture, tensors: Sequence[StoredTensor]
) -> None:
    """Compare widths and other sizes with the dimensions of the tensors."""
    sizes = {size for tensor in tensors for size in tensor.shape}
    largest = max(sizes, default=0)
    width_name = next((name for name in WIDTHS if config.get(name)), None)
    # DistilBERT's inner width has a name that others use for something else.
    inner = (
        (*INNER_WIDTHS, "hidden_dim") if architecture.model_type == "distilbert" else INNER_WIDTHS
    )
    for name in (*filter(None, (width_name,)), "embedding_size", *inner):
        if config.get(name) is not None and config[name] not in sizes:
            raise _wrong(name, config[name], "none of its weights has such a dimension")
    for name in (*HEADS, *OTHER_SIZES, *AT_MOST_TABLE):
        size = config.get(name)
        if type(size) is int and size > max(largest, SMALL):
            raise _wrong(name, size, f"the largest dimension of its weights is {largest}")
    for name in STACKS:
        if (config.get(name) or 0) > len(tensors):
            raise _wrong(name, config[name], f"its weights have {len(tensors)} tensors")
    if width_name:
        _check_table_width(config, width_name, tensors)
        _check_heads(config, width_name, architecture)
    _check_head_width(config, sizes)


def _check_head_width(config: Mapping[str, Any], sizes: set[int]) -> None:
    """Compare the width of all heads together with the dimensions of the tensors."""
    heads = next((config[name] for name in HEADS if config.get(name)), None)
    for name in ("head_dim", "d_kv"):
        width = config.get(name)
        if width is not None and heads is not None and width * heads not in sizes:
            what = f"its {heads} heads together are as wide as none of its weights"
            raise _wrong(name, width, what)


def _check_heads(config: Mapping[str, Any], width_name: str, architecture: Architecture) -> None:
    heads_name = next((name for name in HEADS if config.get(name)), None)
    if heads_name is None or architecture.model_type in OWN_HEAD_WIDTH or config.get("head_dim"):
        return
    if config[width_name] % config[heads_name]:
        what = f"it does not divide `{width_name}`, {config[width_name]}"
        raise _wrong(heads_name, config[heads_name], what)


def _check_table_width(
    config: Mapping[str, Any], width_name: str, tensors: Iterable[StoredTensor]
) -> None:
    """Compare the width of the embeddings with the tensors of as many rows as there are tokens."""
    rows = config.get("vocab_size")
    widths = {t.shape[1] for t in tensors if len(t.shape) == 2 and t.shape[0] == rows}
    name = "embedding_size" if config.get("embedding_size") else width_name
    if widths and config[name] not in widths:
        what = f"the embedding matrix has {max(widths)} columns"
        raise _wrong(name, config[name], what)


def _check_positions(
    config: Mapping[str, Any], architecture: Architecture, tensors: Iterable[StoredTensor]
) -> None:
    tables = [t.shape[0] for t in tensors if t.shape and POSITION_TABLE.search(t.name)]
    for name in POSITIONS:
        positions = config.get(name)
        if positions is None:
            continue
        if positions > MAX_POSITIONS:
            raise _wrong(name, positions, f"at most {MAX_POSITIONS:,} are possible")
        if not tables and positions > SMALL and architecture.model_type in LEARNS_POSITIONS:
            raise _wrong(name, positions, "its weights have no table of positions")
        if tables and not any(rows - positions in OFFSETS for rows in tables):
            what = f"the table of positions of its weights has {max(tables)} rows"
            raise _wrong(name, positions, what)


def _check_labels(config: Mapping[str, Any], tensors: Iterable[StoredTensor]) -> None:
    ids = config.get("id2label") or {}
    if not all(key.isascii() and key.isdigit() for key in ids):
        raise _wrong("id2label", list(ids)[:3], "its keys must be whole numbers")
    rows = {t.shape[0] for t in tensors if t.shape}
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    is_classifier = isinstance(first, str) and first.endswith(CLASSIFIERS)
    most = SMALL if is_classifier else max(SMALL, *rows, 0)
    counts = {name: len(config.get(name) or {}) for name in ("id2label", "label2id")}
    for name, count in {"num_labels": config.get("num_labels") or 0, **counts}.items():
        if count > most and count not in rows:
            what = f"{count} labels, and none of its weights has a row for each"
            raise invalid_model(f"`{name}` of its config speaks of {what}")
