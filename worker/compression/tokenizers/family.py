"""Tokenizer families: what differs between WordPiece, BPE and Unigram, behind one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tokenizers import Tokenizer, models
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError
from worker.compression.progress import Progress
from worker.compression.tokenizers.backend import Json, backend_of, part_types
from worker.compression.tokenizers.layout import Layout
from worker.compression.tokenizers.raw_tokens import RawSplitter
from worker.compression.tokenizers.words import WordCounts

Selection = Literal["usage", "frequency"]


@dataclass(frozen=True)
class TrainingTask:
    """What a family needs to train a vocabulary of exactly ``vocab_size`` tokens.

    ``layout`` holds the reserved tokens and where they stand; ``kept`` are further tokens of the
    model that must be in the vocabulary.
    """

    backend: Tokenizer
    base_model: Json
    words: WordCounts
    vocab_size: int
    selection: Selection
    layout: Layout
    kept: Sequence[str]


class Family(Protocol):
    """A way to make and split tokens; the tokens are raw, as the vocabulary holds them."""

    name: str

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Return the ``model`` section of the domain ``tokenizer.json``."""

    def as_token(self, word: str) -> str:
        """Return the raw token that stands for a whole word of the pre-tokenizer."""

    def spell(self, token: str) -> list[str]:
        """Return the single-character tokens that a raw token is made of."""

    def surface(self, token: str) -> str:
        """Return what a raw token stands for, without position marks, one symbol a unit.

        The units are characters, or bytes where the family is one of bytes.
        """

    def raw_splitter(self, backend: Tokenizer) -> RawSplitter:
        """Return a function that splits raw tokens by their position, as the model does."""


def family_of(tokenizer: PreTrainedTokenizerBase) -> Family:
    """Detect the family from the backend's model.

    Raises:
        UnsupportedTokenizerError: there is no fast tokenizer, or no family handles its model.

    """
    from worker.compression.tokenizers.bpe import BPE  # noqa: PLC0415
    from worker.compression.tokenizers.unigram import Unigram  # noqa: PLC0415
    from worker.compression.tokenizers.wordpiece import WordPiece  # noqa: PLC0415

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
