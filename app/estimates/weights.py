"""Compute what a compressed model takes, to the byte, from the headers of its base's weights.

The arithmetic is the engine's: a tied tensor counts once, what the model's class does not have is
left behind, layers are dropped evenly, and the file is written as safetensors writes it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from app.base_models.config_checks import LAYER
from app.base_models.files import open_regular
from app.base_models.weights import BITS, StoredTensor
from app.contract.architectures import ARCHITECTURES, LANGUAGE_MODEL_HEADS, evenly_spaced

INPUT_TABLE = re.compile(
    r"(^|\.)(word_embeddings|tok_embeddings|embed_tokens|embed_in|wte|shared)\.weight$"
)
OUTPUT_TABLE = re.compile(
    r"(^|\.)(lm_head|lm_head\.decoder|predictions\.decoder|vocab_projector|generator_lm_head"
    r"|embed_out)\.weight$|^decoder\.weight$"
)
OUTPUT_BIAS = re.compile(
    r"(^|\.)(lm_head|lm_head\.decoder|predictions|predictions\.decoder|vocab_projector"
    r"|generator_lm_head)\.bias$|^decoder\.bias$|^final_logits_bias$"
)
SECOND_BIAS = re.compile(r"^(.*)\.decoder\.bias$")
STACK_TABLE = re.compile(r"^(.*\.)?(?:encoder|decoder)\.embed_tokens\.weight$")
LEFT_BEHIND = re.compile(
    r"(^|\.)(position_ids|token_type_ids|inv_freq|attn\.(masked_)?bias|crossattention\.bias"
    r"|attention\.(masked_)?bias)$|(^|\.)(encoder|decoder)\.version$|^mask_predictions\."
    r"|(^|\.)EncDecAttention\.relative_attention_bias\.weight$"
)
"""Tensors that older versions saved and no class has any more."""
BUFFERS = frozenset({"final_logits_bias"})
"""They are in the file, and are no parameters."""
NEWER_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""transformers saves a model with the names that it was loaded with, a new one with these."""
UNTIED = frozenset({"gpt_neox", "llama", "mistral", "qwen2", "qwen3", "phi3"})
"""Model types whose output table is their own unless the config says otherwise."""
TIED_BY_VALUE = frozenset({"t5", "mt5"})
"""Model types whose file says nothing of it: a table of the same values is tied."""
BEGINNING = 1 << 16
PREFIXES = {
    **{"xlm-roberta": "roberta", "deberta-v2": "deberta", "gpt2": "transformer"},
    **{name: name for name in ("bert", "distilbert", "roberta", "albert", "electra", "mpnet")},
    **{"deberta": "deberta", "gpt_neox": "gpt_neox", "t5": "transformer", "mt5": "transformer"},
}
"""The name of the body in a model with a head; of those that are not here it is `model`."""
POOLERS = {"albert": "pooler", **dict.fromkeys(("bert", "roberta", "mpnet"), "pooler.dense")}
POOLERS["xlm-roberta"] = "pooler.dense"
DTYPES = {
    **{"float32": "F32", "float": "F32", "float16": "F16", "half": "F16", "bfloat16": "BF16"},
    **{"float64": "F64", "double": "F64"},
}
# The order in which safetensors writes tensors, by dtype; within one, by name.
WRITTEN_FIRST = ("F64", "I64", "U64", "F32", "I32", "U32", "BF16", "F16", "I16", "U16")


@dataclass(frozen=True)
class Weights:
    """The weights of a model: what they count and what their file takes."""

    parameters: int
    bytes: int
    table_parameters: int
    """Of the tables with a row a token, input and output."""
    unused_parameters: int = 0
    """Of a pooler that is loaded and saved, and that no vector of a text goes through."""


def kept_tensors(config: Mapping[str, Any], tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """Return the tensors of the model that a base is loaded as, each tied one once."""
    found = {t.name: t for t in tensors if not LEFT_BEHIND.search(t.name)}
    model_type, name = str(config.get("model_type")), architecture_of(config)
    if model_type == "gpt_neox" and (head := found.pop("lm_head.weight", None)):
        found["embed_out.weight"] = replace(head, name="embed_out.weight")
    if not has_head(name):
        found = _body_of(found, PREFIXES.get(model_type, "model"))
        found |= _drawn_pooler(found, model_type, name)
    if _is_tied(config, found):
        found = {name: t for name, t in found.items() if not OUTPUT_TABLE.search(name)}
    for name in list(found):
        stack, bias = STACK_TABLE.match(name), SECOND_BIAS.match(name)
        partner = f"{stack[1] or ''}shared.weight" if stack else f"{bias[1]}.bias" if bias else ""
        if partner in found:
            del found[name]
    dtype = _dtype_of(config, found.values())
    return [replace(t, dtype=dtype) if "F" in t.dtype else t for t in found.values()]


def architecture_of(config: Mapping[str, Any]) -> str:
    """Return the name of the class that wrote the model, "" where the config has none."""
    classes = config.get("architectures")
    name = classes[0] if isinstance(classes, list) and classes else ""
    return name if isinstance(name, str) else ""


def has_head(architecture: str) -> bool:
    """Tell whether a class has anything above the body."""
    endings = {end for head in LANGUAGE_MODEL_HEADS.values() for end in head.endings}
    return "For" in architecture or architecture.endswith(tuple(endings))


def _is_tied(config: Mapping[str, Any], found: Mapping[str, StoredTensor]) -> bool:
    """Tell whether the output table is the input table."""
    model_type = config.get("model_type")
    head, table = found.get("lm_head.weight"), found.get("shared.weight")
    if model_type in TIED_BY_VALUE and head and table:
        return config.get("tie_word_embeddings") is not False or is_same(head, table)
    return bool(config.get("tie_word_embeddings", model_type not in UNTIED))


def is_same(one: StoredTensor, other: StoredTensor) -> bool:
    """Tell whether two stored tensors begin with the same values; those of the hub never do."""
    if one.shape != other.shape or one.file is None or other.file is None:
        return False
    return _beginning(one, one.file) == _beginning(other, other.file)


def _beginning(tensor: StoredTensor, path: Path) -> bytes:
    with open_regular(path) as (file, _):
        file.seek(tensor.start)
        return file.read(min(BEGINNING, tensor.bytes))


def _body_of(found: Mapping[str, StoredTensor], prefix: str) -> dict[str, StoredTensor]:
    """Return the tensors of the body alone, where a whole model was saved."""
    inside = {name: t for name, t in found.items() if name.startswith(f"{prefix}.")}
    if not inside:
        return dict(found)
    start = len(prefix) + 1
    return {name[start:]: replace(t, name=name[start:]) for name, t in inside.items()}


def _drawn_pooler(
    found: Mapping[str, StoredTensor], model_type: str, name: str
) -> dict[str, StoredTensor]:
    """Return the pooler that a body is given where its weights have none."""
    pooler = POOLERS.get(model_type) if name.endswith("Model") else None
    if pooler is None or f"{pooler}.weight" in found:
        return {}
    width = next((t.shape[0] for n, t in found.items() if n.endswith("LayerNorm.bias")), 0)
    width = next((t.shape[0] for n, t in found.items() if n.endswith("query.bias")), width)
    shapes = {f"{pooler}.weight": [width, width], f"{pooler}.bias": [width]}
    return {n: StoredTensor(n, "F32", shape, 4 * prod(shape)) for n, shape in shapes.items()}


def _dtype_of(config: Mapping[str, Any], tensors: Iterable[StoredTensor]) -> str:
    named = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    stored = next((t.dtype for t in tensors if "F" in t.dtype), "F32")
    return DTYPES.get(named, stored)


def with_vocabulary(
    config: Mapping[str, Any], tensors: Iterable[StoredTensor], tokens: int
) -> list[StoredTensor]:
    """Return the tensors with one entry for each of so many tokens."""
    tensors = list(tensors)
    rows = table_rows(config, tensors)
    return [
        replace(t, shape=[tokens if size == rows else size for size in t.shape])
        if _has_rows(t, rows)
        else t
        for t in tensors
    ]


def table_rows(config: Mapping[str, Any], tensors: Iterable[StoredTensor]) -> int:
    """Return the rows of the embedding matrix."""
    rows = config.get("vocab_size")
    tables = [t.shape[0] for t in tensors if INPUT_TABLE.search(t.name) and len(t.shape) == 2]
    return rows if isinstance(rows, int) and rows in tables else max(tables, default=0)


def _has_rows(tensor: StoredTensor, rows: int) -> bool:
    if INPUT_TABLE.search(tensor.name) or OUTPUT_TABLE.search(tensor.name):
        return tensor.shape[:1] == [rows]
    return bool(OUTPUT_BIAS.search(tensor.name)) and rows in tensor.shape


def with_layers(tensors: Sequence[StoredTensor], keep: int) -> list[StoredTensor]:
    """Return the tensors of a model with so many layers of each stack."""
    kept = {
        stack: {old: new for new, old in enumerate(evenly_spaced(depth, min(keep, depth)))}
        for stack, depth in depths_of(tensors).items()
    }
    return list(_kept(tensors, kept))


def depths_of(tensors: Iterable[StoredTensor]) -> dict[str, int]:
    """Return the number of layers of each stack, by its name; ALBERT's shared layer is none."""
    depths = dict[str, int]()
    for tensor in tensors:
        if (found := LAYER.match(tensor.name)) and "albert_layer" not in tensor.name:
            stack = found[1] or ""
            depths[stack] = max(int(found[2]) + 1, depths.get(stack, 0))
    return depths


def _kept(
    tensors: Iterable[StoredTensor], kept: Mapping[str, Mapping[int, int]]
) -> Iterator[StoredTensor]:
    for tensor in tensors:
        found, name = LAYER.match(tensor.name), tensor.name
        stack = (found[1] or "") if found else ""
        if found and stack in kept:
            if (number := kept[stack].get(int(found[2]))) is None:
                continue
            name = f"{stack}.{number}.".lstrip(".") + name[found.end() :]
        old = next((old for old in NEWER_NAMES if name.endswith(old)), "")
        yield replace(tensor, name=name.removesuffix(old) + NEWER_NAMES.get(old, ""))


def measure(config: Mapping[str, Any], tensors: Sequence[StoredTensor]) -> Weights:
    """Return what the engine measures of a model with these tensors, once it is saved."""
    rows = table_rows(config, tensors)
    parameters = [t for t in tensors if "F" in t.dtype and t.name not in BUFFERS]
    tables = [
        t for t in parameters if len(t.shape) == 2 and _has_rows(t, rows) and t.shape[0] == rows
    ]
    pooler = POOLERS.get(str(config.get("model_type")), "pooler.")
    written = [*tensors, *_own_head(config, tensors)]
    return Weights(
        parameters=sum(prod(t.shape) for t in parameters),
        bytes=file_bytes(written),
        table_parameters=sum(prod(t.shape) for t in tables),
        unused_parameters=sum(
            prod(t.shape)
            for t in parameters
            if t.name.startswith(pooler) and not has_head(architecture_of(config))
        ),
    )


def _own_head(config: Mapping[str, Any], tensors: Sequence[StoredTensor]) -> Iterator[StoredTensor]:
    """Yield the head that is written beside the table it is tied to, for transformers 4."""
    says = config.get("scale_decoder_outputs", config.get("tie_word_embeddings"))
    model_type = config.get("model_type")
    is_unscaled = model_type == "mt5" or (model_type == "t5" and says is False)
    names = {t.name for t in tensors}
    writes = architecture_of(config).endswith("ForConditionalGeneration")
    if is_unscaled and writes and "lm_head.weight" not in names:
        yield from (replace(t, name="lm_head.weight") for t in tensors if t.name == "shared.weight")


def file_bytes(tensors: Iterable[StoredTensor]) -> int:
    """Return the bytes of a safetensors file of these tensors, as save_pretrained writes it."""
    order = {dtype: place for place, dtype in enumerate(WRITTEN_FIRST)}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in sorted(tensors, key=lambda t: (order.get(t.dtype, len(order)), t.name)):
        end = offset + prod(tensor.shape) * BITS[tensor.dtype] // 8
        places = {"shape": tensor.shape, "data_offsets": [offset, end]}
        header[tensor.name] = {"dtype": tensor.dtype, **places}
        offset = end
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return 8 + -(-len(encoded) // 8) * 8 + offset


def layer_count(config: Mapping[str, Any], tensors: Iterable[StoredTensor]) -> int:
    """Return the layers of a model; of an encoder-decoder, those of its deeper half."""
    row = ARCHITECTURES[str(config["model_type"])]
    names = (*row.layer_counts, *row.decoder_layer_counts)
    said = [config[name] for name in names if type(config.get(name)) is int]
    return max([*depths_of(tensors).values(), *said], default=0)
