"""What differs between WordPiece, BPE and Unigram, behind one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tokenizers import Tokenizer

from worker.compression.errors import CorpusTooSmallError, VocabSizeBelowFloorError
from worker.compression.progress import Progress
from worker.compression.tokenizers.raw_tokens import RawSplitter
from worker.compression.tokenizers.tokenizer_json import Json, Layout
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


def check_floor(vocab_size: int, floor: int) -> None:
    """Refuse a vocabulary that cannot hold the ``floor`` tokens that must be kept."""
    if vocab_size < floor:
        raise VocabSizeBelowFloorError(
            f"A vocabulary of {vocab_size} tokens cannot hold the special tokens, the tokens to "
            f"keep and the corpus's alphabet: ask for at least {floor}."
        )


def check_ceiling(size: int, candidates: int, reserved: int) -> None:
    """Refuse a vocabulary of more tokens, ``reserved`` ones apart, than there are candidates."""
    if size > candidates:
        raise CorpusTooSmallError(
            f"The corpus is too small for a vocabulary of {size + reserved} tokens: ask for at "
            f"most {candidates + reserved}, or upload more text."
        )
