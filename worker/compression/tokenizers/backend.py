"""The Rust tokenizer behind a transformers tokenizer, and its JSON."""

import json
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

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
