"""Which family a tokenizer is of."""

from tokenizers import models
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError
from worker.compression.tokenizers.bpe import BPE
from worker.compression.tokenizers.family import Family
from worker.compression.tokenizers.tokenizer_json import backend_of, part_types
from worker.compression.tokenizers.unigram import Unigram
from worker.compression.tokenizers.wordpiece import WordPiece


def family_of(tokenizer: PreTrainedTokenizerBase) -> Family:
    """Detect the family from the backend's model.

    Raises:
        UnsupportedTokenizerError: there is no fast tokenizer, or no family handles its model.

    """
    if not tokenizer.is_fast:
        raise UnsupportedTokenizerError(
            f"{type(tokenizer).__name__} is not a fast tokenizer: convert it to a tokenizer.json."
        )
    backend = backend_of(tokenizer)
    model = backend.model
    if isinstance(model, models.WordPiece):
        return WordPiece(model.continuing_subword_prefix)
    if isinstance(model, models.BPE) and not model.continuing_subword_prefix:
        parts = part_types(backend.normalizer) | part_types(backend.pre_tokenizer)
        return BPE(byte_level="ByteLevel" in parts, suffix=model.end_of_word_suffix or "")
    if isinstance(model, models.Unigram):
        return Unigram()
    raise UnsupportedTokenizerError(
        f"Tokenizers of type {type(model).__name__} cannot be retrained as this one is: use a base "
        "model with a WordPiece, BPE or Unigram tokenizer."
    )
