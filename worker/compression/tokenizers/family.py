"""Tokenizer families: what differs between WordPiece, BPE and Unigram, behind one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tokenizers import Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError
from worker.compression.progress import Progress
from worker.compression.tokenizers.backend import Json, backend_json
from worker.compression.tokenizers.words import WordCounts

Selection = Literal["usage", "frequency"]


@dataclass(frozen=True)
class TrainingTask:
    """What a family needs to train a vocabulary of exactly ``vocab_size`` tokens.

    ``reserved`` tokens take the ids from 0 on in their order; ``kept`` are further tokens of the
    model that must be in the vocabulary.
    """

    backend: Tokenizer
    base_model: Json
    words: WordCounts
    vocab_size: int
    selection: Selection
    reserved: Sequence[str]
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
        """Return the text a raw token stands for, without position marks."""


def family_of(tokenizer: PreTrainedTokenizerBase) -> Family:
    """Detect the family from the backend's JSON.

    Raises:
        UnsupportedTokenizerError: no family handles this kind of model.

    """
    from worker.compression.tokenizers.wordpiece import WordPiece  # noqa: PLC0415

    model = backend_json(tokenizer)["model"]
    if model["type"] == "WordPiece":
        return WordPiece(model["continuing_subword_prefix"])
    raise UnsupportedTokenizerError(
        f"Tokenizers of type {model['type']} cannot be retrained yet: "
        "use a base model with a WordPiece tokenizer."
    )
