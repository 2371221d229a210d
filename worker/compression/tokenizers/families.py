"""The registry of tokenizer families: one entry for each kind that can be trained.

Each entry is all that the rest of the code knows of a family. The service accepts the same
``model_type`` values; a test holds both sides equal.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Tokenizer, models
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError
from worker.compression.tokenizers.bpe import BPE
from worker.compression.tokenizers.family import Family
from worker.compression.tokenizers.tokenizer_json import backend_of, component_types
from worker.compression.tokenizers.unigram import Unigram
from worker.compression.tokenizers.wordpiece import WordPiece


@dataclass(frozen=True)
class TokenizerFamily:
    """Describe a family to code that handles all of them.

    ``model_type`` is ``model.type`` in ``tokenizer.json``. With ``byte_fallback`` a base may have
    tokens such as ``<0xE2>``, which spell characters that have no token. With ``multiword`` a
    vocabulary can hold tokens of several words (for the base itself ``check_multiword`` decides).
    ``detect`` tells whether a backend belongs to the family, ``build`` makes the family as that
    backend needs it.
    """

    name: str
    model_type: str
    byte_fallback: bool
    multiword: bool
    detect: Callable[[Tokenizer], bool]
    build: Callable[[Tokenizer], Family]


def _is_bpe(backend: Tokenizer) -> bool:
    # A mark on tokens that continue a word would change what a merge joins.
    return isinstance(backend.model, models.BPE) and not backend.model.continuing_subword_prefix


def _splits_bytes(backend: Tokenizer) -> bool:
    types = component_types(backend.normalizer) | component_types(backend.pre_tokenizer)
    return "ByteLevel" in types


_FAMILIES = (
    TokenizerFamily(
        name=WordPiece.name,
        model_type="WordPiece",
        byte_fallback=False,
        multiword=True,
        detect=lambda backend: isinstance(backend.model, models.WordPiece),
        build=lambda backend: WordPiece(backend.model.continuing_subword_prefix),
    ),
    TokenizerFamily(
        name="byte-level-bpe",
        model_type="BPE",
        byte_fallback=False,
        multiword=False,
        detect=lambda backend: _is_bpe(backend) and _splits_bytes(backend),
        build=lambda backend: BPE(byte_level=True, suffix=backend.model.end_of_word_suffix or ""),
    ),
    TokenizerFamily(
        name="bpe",
        model_type="BPE",
        byte_fallback=True,
        multiword=False,
        detect=lambda backend: _is_bpe(backend) and not _splits_bytes(backend),
        build=lambda backend: BPE(byte_level=False, suffix=backend.model.end_of_word_suffix or ""),
    ),
    TokenizerFamily(
        name=Unigram.name,
        model_type="Unigram",
        byte_fallback=True,
        multiword=False,
        detect=lambda backend: isinstance(backend.model, models.Unigram),
        build=lambda _: Unigram(),
    ),
)

TOKENIZER_FAMILIES: dict[str, TokenizerFamily] = {family.name: family for family in _FAMILIES}


def family_of(tokenizer: PreTrainedTokenizerBase) -> Family:
    """Return the family of a tokenizer, detected from its backend.

    Raises:
        UnsupportedTokenizerError: there is no fast tokenizer, or no family handles its model.

    """
    if not tokenizer.is_fast:
        raise UnsupportedTokenizerError(
            f"{type(tokenizer).__name__} is not a fast tokenizer: convert it to a tokenizer.json."
        )
    backend = backend_of(tokenizer)
    for family in TOKENIZER_FAMILIES.values():
        if family.detect(backend):
            return family.build(backend)
    *others, last = dict.fromkeys(family.model_type for family in TOKENIZER_FAMILIES.values())
    raise UnsupportedTokenizerError(
        f"Tokenizers of type {type(backend.model).__name__} cannot be retrained as this one is: "
        f"use a base model with a {', '.join(others)} or {last} tokenizer."
    )
