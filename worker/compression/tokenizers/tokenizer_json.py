"""The Rust tokenizer behind a transformers tokenizer, and its JSON."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError

Json = dict[str, Any]


def backend_of(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return the Rust tokenizer itself."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    return backend


def backend_json(tokenizer: PreTrainedTokenizerBase) -> Json:
    """Return the content of the ``tokenizer.json`` that the tokenizer would be saved as."""
    content: Json = json.loads(backend_of(tokenizer).to_str())
    return content


def vocabulary_of(model: Json) -> dict[str, int]:
    """Return the ids of a ``model`` section's tokens."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):
        return {token: i for i, (token, _) in enumerate(vocabulary)}
    return dict(vocabulary)


def part_types(part: Normalizer | PreTokenizer | None) -> set[str]:
    """Return the types of a normalizer or pre-tokenizer and of all parts in it."""
    return _types_in(json.loads(part.__getstate__())) if part else set()


def _types_in(part: Any) -> set[str]:
    if isinstance(part, list):
        return {name for item in part for name in _types_in(item)}
    if not isinstance(part, dict):
        return set()
    own = {part["type"]} if isinstance(part.get("type"), str) else set()
    return own | {name for value in part.values() for name in _types_in(value)}


def unbounded(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a copy of the backend that neither pads nor truncates."""
    backend = Tokenizer.from_str(backend_of(tokenizer).to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


@dataclass(frozen=True)
class Layout:
    """Special and added tokens, each group in the order of the base's ids.

    Those the base has before an ordinary token come ``first``, where they keep small ids (RoBERTa
    and MPNet count positions from the pad token's id). Those after all ordinary tokens come
    ``last`` (T5 counts its sentinels from the end); of these, ``outside`` are no tokens of the
    model but added after it.
    """

    first: Sequence[str]
    last: Sequence[str]
    outside: Sequence[str]

    @property
    def tokens(self) -> list[str]:
        """Return every reserved token."""
        return [*self.first, *self.last, *self.outside]

    def around(self, tokens: Sequence[str]) -> list[str]:
        """Return the tokens of the model in the order of ids, given the ordinary ones."""
        return [*self.first, *tokens, *self.last]


def layout_of(
    base_tokenizer: PreTrainedTokenizerBase, base: Json, new_added_tokens: Sequence[str]
) -> Layout:
    """Return the layout for a base tokenizer; ``new_added_tokens`` stand after its first ones."""
    ids, model = base_tokenizer.get_vocab(), vocabulary_of(base["model"])
    reserved = sorted(_reserved(base_tokenizer, base), key=lambda token: ids[token])
    ordinary = max((i for token, i in ids.items() if token not in set(reserved)), default=-1)
    last = [token for token in reserved if ids[token] > ordinary]
    return Layout(
        first=[*(token for token in reserved if ids[token] < ordinary), *new_added_tokens],
        last=[token for token in last if token in model],
        outside=[token for token in last if token not in model],
    )


def _reserved(base_tokenizer: PreTrainedTokenizerBase, base: Json) -> set[str]:
    tokens = {token["content"] for token in base["added_tokens"]}
    tokens |= {str(token) for token in base_tokenizer.all_special_tokens}
    model = base["model"]
    if model.get("unk_id") is not None:
        tokens.add(model["vocab"][model["unk_id"]][0])
    return tokens | ({model["unk_token"]} if model.get("unk_token") else set())


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
    base = backend_json(base_tokenizer)
    content = domain_json(base, model, new_added_tokens)
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
    _check(tokenizer, content, base)
    return tokenizer


def domain_json(base: Json, model: Json, new_added_tokens: Sequence[str]) -> Json:
    """Return the content of ``tokenizer.json`` for a new model section."""
    ids = _domain_ids(base, model)
    added = [{**token, "id": ids[token["content"]]} for token in base["added_tokens"]]
    added += [_added_token(content, ids[content]) for content in new_added_tokens]
    return {
        **base,
        "model": model,
        "added_tokens": sorted(added, key=lambda token: token["id"]),
        "post_processor": _moved(base["post_processor"], ids),
        "padding": _padding(base["padding"], ids),
    }


def _domain_ids(base: Json, model: Json) -> dict[str, int]:
    """Return all ids: added tokens that are no tokens of the model come after it, in order."""
    ids = vocabulary_of(model)
    for token in sorted(base["added_tokens"], key=lambda token: token["id"]):
        ids.setdefault(token["content"], len(ids))
    return ids


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


def _check(tokenizer: PreTrainedTokenizerBase, content: Json, base: Json) -> None:
    loaded, vocabulary, ids = backend_json(tokenizer), tokenizer.get_vocab(), _all_ids(content)
    changed = [part for part in _parts(base) if _parts(loaded).get(part) != _parts(base)[part]]
    if vocabulary != ids or sorted(ids.values()) != list(range(len(ids))):
        changed.append("vocabulary")
    if changed:
        raise UnsupportedTokenizerError(
            f"{type(tokenizer).__name__} does not load a new vocabulary as it is written (it "
            f"changes {', '.join(changed)}): use a base model with a plain tokenizer.json."
        )
    largest = max(_ids_in(loaded["post_processor"]), default=0)
    if largest >= len(ids):
        raise UnsupportedTokenizerError(
            f"The post-processor would emit id {largest} of {len(ids)} tokens."
        )


def _all_ids(content: Json) -> dict[str, int]:
    added = {token["content"]: token["id"] for token in content["added_tokens"]}
    return vocabulary_of(content["model"]) | added


def _parts(content: Json) -> Json:
    """Return the parts of a tokenizer that do not depend on its vocabulary."""
    options = {k: v for k, v in content["model"].items() if k not in {"vocab", "merges", "unk_id"}}
    carried = ("normalizer", "pre_tokenizer", "decoder", "truncation")
    unk_id = content["model"].get("unk_id")
    unk = content["model"]["vocab"][unk_id][0] if unk_id is not None else None
    return {**{part: content[part] for part in carried}, **options, "unk": unk}


def _ids_in(node: Any) -> list[int]:
    if isinstance(node, dict):
        own = list(node.get("ids", []))
        own += [node[role][1] for role in ("cls", "sep") if role in node]
        return own + [i for value in node.values() for i in _ids_in(value)]
    return [i for item in node for i in _ids_in(item)] if isinstance(node, list) else []
