"""The Rust tokenizer behind a transformers tokenizer, and its JSON."""

import json
from typing import Any

from tokenizers import Tokenizer
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


def unbounded(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a copy of the backend that neither pads nor truncates."""
    backend = Tokenizer.from_str(backend_of(tokenizer).to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend
