"""The Rust tokenizer behind a transformers tokenizer, and its ``tokenizer.json``.

A domain tokenizer is the base's ``tokenizer.json`` with another ``model`` section. Whatever else
holds token ids (added tokens, post-processor, padding) is moved to the new ids.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Lowercase, Normalizer
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import PreTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError

Json = dict[str, Any]

# Components that stay as they are in the base, whatever the vocabulary.
_COMPONENTS = ("normalizer", "pre_tokenizer", "decoder", "truncation")

# Keys of the model section that depend on the vocabulary; the other keys are its options.
_VOCABULARY_KEYS = {"vocab", "merges", "unk_id"}

# Keys under which BertProcessing and RobertaProcessing hold a pair of a token and its id.
_TOKEN_ID_PAIRS = ("cls", "sep")

# A keep token is matched in the text as the model reads it, wherever it occurs.
_ADDED_TOKEN_FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}


def backend_of(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return the Rust tokenizer itself."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    return backend


def unbounded(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a copy of the backend that neither pads nor truncates."""
    backend = Tokenizer.from_str(backend_of(tokenizer).to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def lower_case_first(tokenizer: PreTrainedTokenizerBase) -> None:
    """Lower-case texts before the tokenizer's own normalization, unless it does so itself."""
    backend = backend_of(tokenizer)
    normalizers = _flat(backend.normalizer)
    if not any(isinstance(n, Lowercase) or getattr(n, "lowercase", False) for n in normalizers):
        backend.normalizer = Normalizers([Lowercase(), *normalizers])


def _flat(normalizer: Any) -> list[Any]:
    """Return the normalizers that one consists of, in order."""
    if isinstance(normalizer, Normalizers):
        inner: Any = normalizer
        return [one for part in inner for one in _flat(part)]
    return [] if normalizer is None else [normalizer]


def backend_json(tokenizer: PreTrainedTokenizerBase) -> Json:
    """Return the content of the ``tokenizer.json`` that the tokenizer would be saved as."""
    content: Json = json.loads(backend_of(tokenizer).to_str())
    return content


def vocabulary_of(model: Json) -> dict[str, int]:
    """Return the ids of the tokens of a ``model`` section, which Unigram has as a list."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):
        return {token: i for i, (token, _) in enumerate(vocabulary)}
    return dict(vocabulary)


def component_types(component: Normalizer | PreTokenizer | None) -> set[str]:
    """Return the types of a normalizer or pre-tokenizer and of everything nested in it."""
    types: set[str] = set()
    pending: list[Any] = [json.loads(component.__getstate__())] if component else []
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            if isinstance(node.get("type"), str):
                types.add(node["type"])
    return types


@dataclass(frozen=True)
class ReservedTokens:
    """Special and added tokens, each group in the order of the base's ids.

    ``leading`` tokens have ids before the ordinary tokens, where they keep small ids (RoBERTa and
    MPNet count positions from the pad token's id). ``trailing`` tokens come after all ordinary
    ones (T5 counts its sentinels from the end). ``added_only`` tokens come last of all: they are
    not in the model's vocabulary.
    """

    leading: Sequence[str]
    trailing: Sequence[str]
    added_only: Sequence[str]

    @property
    def tokens(self) -> list[str]:
        """Return every reserved token."""
        return [*self.leading, *self.trailing, *self.added_only]

    def surround(self, ordinary: Sequence[str]) -> list[str]:
        """Return the tokens of the model's vocabulary in the order of ids."""
        return [*self.leading, *ordinary, *self.trailing]


def reserved_tokens(
    base_tokenizer: PreTrainedTokenizerBase, base: Json, new_added_tokens: Sequence[str]
) -> ReservedTokens:
    """Group the special and added tokens of a base tokenizer by their place.

    ``base`` is its ``tokenizer.json``. ``new_added_tokens`` come after its leading tokens.
    """
    model, ids = base["model"], base_tokenizer.get_vocab()
    tokens = {token["content"] for token in base["added_tokens"]}
    tokens |= {str(token) for token in base_tokenizer.all_special_tokens}
    if model.get("unk_id") is not None:
        tokens.add(model["vocab"][model["unk_id"]][0])
    if model.get("unk_token"):
        tokens.add(model["unk_token"])

    reserved = sorted(tokens, key=lambda token: ids[token])
    last_ordinary_id = max((i for token, i in ids.items() if token not in tokens), default=-1)
    vocabulary = vocabulary_of(model)
    behind = [token for token in reserved if ids[token] > last_ordinary_id]
    return ReservedTokens(
        leading=[*(t for t in reserved if ids[t] < last_ordinary_id), *new_added_tokens],
        trailing=[token for token in behind if token in vocabulary],
        added_only=[token for token in behind if token not in vocabulary],
    )


def rebuild_tokenizer(
    base_tokenizer: PreTrainedTokenizerBase, model: Json, new_added_tokens: Sequence[str]
) -> PreTrainedTokenizerBase:
    """Return a tokenizer of the base's class with another model and everything else unchanged.

    Normalizer, pre-tokenizer, decoder, chat template, sides and lengths stay; every token id in
    added tokens, post-processor and padding is moved. The tokenizer is loaded from a saved
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
    if isinstance(next(iter(_flat(backend_of(base_tokenizer).normalizer)), None), Lowercase):
        # Classes that build their normalizer do not know of what was put before it.
        lower_case_first(tokenizer)
    _check_loaded(tokenizer, content, base)
    return tokenizer


def domain_json(base: Json, model: Json, new_added_tokens: Sequence[str]) -> Json:
    """Return the content of the domain ``tokenizer.json``: the base's with another model."""
    ids = vocabulary_of(model)
    # Added tokens that the model does not have come after its tokens, in the base's order.
    for token in sorted(base["added_tokens"], key=lambda token: token["id"]):
        ids.setdefault(token["content"], len(ids))
    added = [{**token, "id": ids[token["content"]]} for token in base["added_tokens"]]
    added += [
        {"id": ids[token], "content": token, "special": False, **_ADDED_TOKEN_FLAGS}
        for token in new_added_tokens
    ]
    padding = base["padding"]
    return {
        **base,
        "model": model,
        "added_tokens": sorted(added, key=lambda token: token["id"]),
        "post_processor": _with_new_ids(base["post_processor"], ids),
        "padding": padding and {**padding, "pad_id": ids[padding["pad_token"]]},
    }


def _with_new_ids(node: Any, ids: Mapping[str, int]) -> Any:
    """Return a post-processor with every id replaced, at any depth of a ``Sequence``."""
    if isinstance(node, list):
        return [_with_new_ids(item, ids) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _with_new_ids(value, ids) for key, value in node.items()}
    if "ids" in node and "tokens" in node:
        result["ids"] = [ids[token] for token in node["tokens"]]
    for role in _TOKEN_ID_PAIRS:
        if role in node:
            result[role] = [node[role][0], ids[node[role][0]]]
    return result


def _check_loaded(tokenizer: PreTrainedTokenizerBase, content: Json, base: Json) -> None:
    """Refuse a tokenizer that does not load as its ``content`` says.

    Some classes build a normalizer or pre-tokenizer of their own, or number tokens anew.
    """
    loaded, before = backend_json(tokenizer), _settings(base)
    after = _settings(loaded)
    changed = [name for name in before if after.get(name) != before[name]]
    ids = vocabulary_of(content["model"])
    ids |= {token["content"]: token["id"] for token in content["added_tokens"]}
    if tokenizer.get_vocab() != ids or sorted(ids.values()) != list(range(len(ids))):
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


def _settings(content: Json) -> Json:
    """Return the settings of a tokenizer that do not depend on its vocabulary."""
    model = content["model"]
    options = {key: value for key, value in model.items() if key not in _VOCABULARY_KEYS}
    # The unknown token of a Unigram model is an id: compare the token, the id may move.
    unk_id = model.get("unk_id")
    unk = model["vocab"][unk_id][0] if unk_id is not None else None
    return {**{name: content[name] for name in _COMPONENTS}, **options, "unk": unk}


def _ids_in(node: Any) -> list[int]:
    """Return every id that a post-processor emits."""
    if isinstance(node, list):
        return [i for item in node for i in _ids_in(item)]
    if not isinstance(node, dict):
        return []
    ids = list(node.get("ids", []))
    ids += [node[role][1] for role in _TOKEN_ID_PAIRS if role in node]
    return ids + [i for value in node.values() for i in _ids_in(value)]
