"""The domain tokenizer: the base tokenizer's parts around a new vocabulary."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError
from worker.compression.tokenizers.backend import Json, backend_json

Ids = Mapping[str, int]


def carry_over(
    base_tokenizer: PreTrainedTokenizerBase, model: Json, new_added_tokens: Sequence[str]
) -> PreTrainedTokenizerBase:
    """Return a tokenizer of the base's class with another model and everything else carried over.

    Normalizer, pre-tokenizer, decoder, chat template, sides and lengths stay; every token id in
    added tokens, post-processor and padding is moved. The tokenizer is made by loading a saved
    folder, so what is measured later is what a user of the artifact loads.

    Raises:
        UnsupportedTokenizerError: the tokenizer's class does not load the vocabulary as given.

    """
    content = domain_json(backend_json(base_tokenizer), model, new_added_tokens)
    with tempfile.TemporaryDirectory() as folder:
        base_tokenizer.save_pretrained(folder)
        Path(folder, "tokenizer.json").write_text(
            json.dumps(content, ensure_ascii=False), encoding="utf-8"
        )
        tokenizer: PreTrainedTokenizerBase = type(base_tokenizer).from_pretrained(
            folder,
            local_files_only=True,
            padding_side=base_tokenizer.padding_side,
            truncation_side=base_tokenizer.truncation_side,
        )
    _check(tokenizer, content)
    return tokenizer


def domain_json(base: Json, model: Json, new_added_tokens: Sequence[str]) -> Json:
    """Return the content of ``tokenizer.json`` for a new model section."""
    ids: Ids = model["vocab"]
    added = [{**token, "id": ids[token["content"]]} for token in base["added_tokens"]]
    added += [_added_token(content, ids[content]) for content in new_added_tokens]
    return {
        **base,
        "model": model,
        "added_tokens": sorted(added, key=lambda token: token["id"]),
        "post_processor": _moved(base["post_processor"], ids),
        "padding": _padding(base["padding"], ids),
    }


def _added_token(content: str, token_id: int) -> Json:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    return {"id": token_id, "content": content, "special": False, **flags}


def _moved(node: Any, ids: Ids) -> Any:
    """Return a post-processor with each id moved, at any depth of a ``Sequence``."""
    if isinstance(node, list):
        return [_moved(item, ids) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _moved(value, ids) for key, value in node.items()}
    if "ids" in node and "tokens" in node:
        moved["ids"] = [ids[token] for token in node["tokens"]]
    for role in ("cls", "sep"):
        if role in node:
            moved[role] = [node[role][0], ids[node[role][0]]]
    return moved


def _padding(padding: Json | None, ids: Ids) -> Json | None:
    return padding and {**padding, "pad_id": ids[padding["pad_token"]]}


def _check(tokenizer: PreTrainedTokenizerBase, content: Json) -> None:
    loaded, vocabulary = tokenizer.get_vocab(), content["model"]["vocab"]
    if loaded != vocabulary or sorted(loaded.values()) != list(range(len(loaded))):
        raise UnsupportedTokenizerError(
            f"{type(tokenizer).__name__} does not load a new vocabulary as it is written: "
            "use a base model with a plain tokenizer.json."
        )
    largest = max(_ids_in(backend_json(tokenizer)["post_processor"]), default=0)
    if largest >= len(vocabulary):
        raise UnsupportedTokenizerError(
            f"The post-processor would emit id {largest} of {len(vocabulary)} tokens."
        )


def _ids_in(node: Any) -> list[int]:
    if isinstance(node, dict):
        own = list(node.get("ids", []))
        own += [node[role][1] for role in ("cls", "sep") if role in node]
        return own + [i for value in node.values() for i in _ids_in(value)]
    return [i for item in node for i in _ids_in(item)] if isinstance(node, list) else []
