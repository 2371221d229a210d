"""Write config files so that transformers 4 and 5, and tools that read the older keys, agree.

Version 5 moved and renamed keys, and version 4 reads a key that it does not find as the default: a
model saved by 5 is another one in 4 without a word said. Both read the older keys, so a result has
those beside the newer ones, and whatever its base's own files said is said as it stood there.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import models
from transformers import PretrainedConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.token_ids import holds_token_ids

Json = dict[str, Any]

CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
ROLES_FILE, ADDED_FILE = "special_tokens_map.json", "added_tokens.json"

_ROPE = "rope_parameters"
_OLDER_ROPE_KEYS: dict[str, dict[str, str]] = {
    "gpt_neox": {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"},
    "modernbert": {
        "full_attention": "global_rope_theta",
        "sliding_attention": "local_rope_theta",
    },
}
_USUAL_ROPE_KEYS = {
    "rope_theta": "rope_theta",
    "partial_rotary_factor": "partial_rotary_factor",
    "full_attention": "rope_theta",
    "sliding_attention": "rope_local_base_freq",
}
_PRETRAINED_LENGTH = "original_max_position_embeddings"
_PHI3_SCALING = ("short_factor", "long_factor")

_NOT_CARRIED = ("transformers_version", "auto_map", "quantization_config", "dtype", "torch_dtype")
"""Keys of a base's config that are of how or where it was saved, not of the model."""

_OF_LOADING = (
    *("is_local", "local_files_only", "name_or_path", "auto_map"),
    *("special_tokens_map_file", "tokenizer_file", "vocab_file", "merges_file"),
)

_GENERIC = "PreTrainedTokenizerFast"
_ONLY_IN_5 = (
    *("TokenizersBackend", "EsmcTokenizer", "LasrTokenizer", "ParakeetTokenizer"),
    *("Qwen3_5Tokenizer", "VideoPrismTokenizer"),
)
"""Tokenizer classes that version 4.57 does not have; it reads their files with the generic one."""


def write_compatible_files(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    base_folder: Path | None = None,
) -> None:
    """Rewrite the config files of a folder just saved, and add what the base's folder has besides.

    Vocabulary files that the base has beside its ``tokenizer.json`` are written anew. Without a
    base folder the keys are those that both versions understand.
    """
    base = _read(base_folder / CONFIG) if base_folder else {}
    _write(folder / CONFIG, _config(_read(folder / CONFIG), base, model))
    added = json.loads(tokenizer.backend_tokenizer.to_str())["added_tokens"]
    settings = _read(base_folder / TOKENIZER_CONFIG) if base_folder else None
    saved = _read(folder / TOKENIZER_CONFIG)
    _write(folder / TOKENIZER_CONFIG, _tokenizer_config(saved, settings, added))
    if base_folder:
        _write_older_files(folder, tokenizer, base_folder)


def _read(file: Path) -> Json:
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return content if isinstance(content, dict) else {}


def _write(file: Path, content: Json) -> None:
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def _config(saved: Json, base: Json, model: PreTrainedModel) -> Json:
    """Return a ``config.json`` with the older keys, and those of the base that 5 leaves out."""
    older = older_rope_keys(saved)
    if "dtype" in saved:
        older["torch_dtype"] = saved["dtype"]
    if has_unscaled_head(model):
        older["tie_word_embeddings"] = False
    if "rope_scaling" in base and "rope_scaling" in older:
        older["rope_scaling"] = base["rope_scaling"]
    generation = getattr(model, "generation_config", None)
    carried = Json()
    for key, value in base.items():
        if key.startswith("_") or key in {*saved, *older, *_NOT_CARRIED}:
            continue
        # The model may have fewer layers than the base, and other ids.
        current = _current(key, value, model.config)
        if holds_token_ids(key) and not hasattr(model.config, key):
            current = getattr(generation, key, None)
        carried[key] = current
    return {**carried, **saved, **older}


def has_unscaled_head(model: PreTrainedModel) -> bool:
    """Tell whether a T5's decoder is not scaled before its head, as version 1.1 and mT5 have it.

    Version 4 takes that from ``tie_word_embeddings``, and then reads a head of its own from the
    weights; version 5 takes it from there too, and ties all the same where the weights are equal.
    """
    config = model.config
    return config.model_type == "mt5" or getattr(config, "scale_decoder_outputs", None) is False


def _current(key: str, value: Any, config: PretrainedConfig) -> Any:
    current = getattr(config, key, value)
    return current if isinstance(current, type(value)) or value is None else value


def older_rope_keys(saved: Json) -> Json:
    """Return rotary embeddings as version 4 names them: a key for each, outside of a dictionary."""
    parameters = saved.get(_ROPE)
    if not isinstance(parameters, dict) or not parameters:
        return {}
    names = {**_USUAL_ROPE_KEYS, **_OLDER_ROPE_KEYS.get(saved["model_type"], {})}
    older = Json()
    by_layer_type = {name: of for name, of in parameters.items() if isinstance(of, dict)}
    for name, of_layers in by_layer_type.items():
        if name in names and "rope_theta" in of_layers:
            older[names[name]] = of_layers["rope_theta"]
    main = by_layer_type.get("full_attention", {}) if by_layer_type else parameters
    if not by_layer_type:
        older |= {names[key]: main[key] for key in names if key in main}
    scaling = {key: value for key, value in main.items() if key not in _USUAL_ROPE_KEYS}
    older["rope_scaling"] = _scaling(scaling, saved["model_type"])
    if saved["model_type"] == "phi3" and _PRETRAINED_LENGTH in scaling:
        older[_PRETRAINED_LENGTH] = scaling[_PRETRAINED_LENGTH]
    return older


def _scaling(scaling: Json, model_type: str) -> Json | None:
    if scaling.get("rope_type", "default") == "default":
        return None
    if model_type == "phi3":
        # Version 4 takes these three and no other.
        return {"type": "longrope"} | {key: scaling[key] for key in _PHI3_SCALING}
    return scaling


def _tokenizer_config(saved: Json, base: Json | None, added: list[Json]) -> Json:
    """Return a ``tokenizer_config.json``: what the base's says as it says it, ids moved.

    ``added`` are the ``added_tokens`` of ``tokenizer.json``.
    """
    result = {**saved, **(base or {})}
    for key in _OF_LOADING:
        result.pop(key, None)
    # A list under the newer name is an error in version 4; a dictionary both read.
    extra = saved.get("extra_special_tokens")
    if not isinstance(result.get("extra_special_tokens"), dict):
        result.pop("extra_special_tokens", None)
    if extra and isinstance(extra, list):
        result["additional_special_tokens"] = extra
    if "added_tokens_decoder" in result:
        result["added_tokens_decoder"] = {
            str(token["id"]): {key: token[key] for key in sorted(token) if key != "id"}
            for token in added
        }
    if base and "tokenizer_class" not in base:
        # Both versions tell the class from the type of the model, as they do for the base.
        result.pop("tokenizer_class", None)
    elif result.get("tokenizer_class") in _ONLY_IN_5:
        result["tokenizer_class"] = _GENERIC
    return result


def _write_older_files(folder: Path, tokenizer: PreTrainedTokenizerBase, base_folder: Path) -> None:
    """Write the files beside ``tokenizer.json`` that slow tokenizers and converters read."""
    model = tokenizer.backend_tokenizer.model
    wanted = {models.WordPiece: "vocab.txt", models.BPE: "merges.txt"}.get(type(model))
    if wanted and (base_folder / wanted).is_file():
        model.save(str(folder))
    if (base_folder / ROLES_FILE).is_file():
        shutil.copyfile(base_folder / ROLES_FILE, folder / ROLES_FILE)
    if (base_folder / ADDED_FILE).is_file():
        ids: Mapping[str, int] = tokenizer.get_vocab()
        before = _read(base_folder / ADDED_FILE)
        _write(folder / ADDED_FILE, {token: ids[token] for token in before if token in ids})
