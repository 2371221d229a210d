"""The protocol that every tokenizer family implements, and the task it is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tokenizers import Tokenizer

from worker.compression.errors import CorpusTooSmallError, VocabSizeBelowFloorError
from worker.compression.progress import Progress
from worker.compression.tokenizers.raw_tokens import RawSplitter
from worker.compression.tokenizers.tokenizer_json import Json, ReservedTokens
from worker.compression.tokenizers.words import WordCounts

# "usage" chooses the tokens that save the most pieces, "frequency" the first that a trainer makes.
Selection = Literal["usage", "frequency"]


@dataclass(frozen=True)
class TrainingTask:
    """Everything that a family needs to train a vocabulary of exactly ``vocab_size`` tokens.

    ``base_model`` is the ``model`` section of the base's ``tokenizer.json``. ``keep_tokens`` are
    raw tokens that must be in the vocabulary beside the reserved ones.
    """

    backend: Tokenizer
    base_model: Json
    words: WordCounts
    vocab_size: int
    selection: Selection
    reserved: ReservedTokens
    keep_tokens: Sequence[str]


class Family(Protocol):
    """The way in which one kind of model makes and splits tokens.

    Tokens are raw, as the vocabulary holds them. ``name`` is the key of the family in
    ``families.TOKENIZER_FAMILIES``. One that ``spells_bytes`` can read any text.
    """

    name: str
    spells_bytes: bool

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Return the ``model`` section of the domain ``tokenizer.json``.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """

    def as_token(self, word: str) -> str:
        """Return the raw token that stands for a whole word of the pre-tokenizer."""

    def spell(self, token: str) -> list[str]:
        """Return the single-character tokens that a raw token is made of."""

    def surface(self, token: str) -> str:
        """Return the text of a raw token without position marks.

        Its length is in characters, or in bytes where the family splits bytes.
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
    """Refuse a vocabulary for which there are too few candidates.

    ``size`` and ``candidates`` are numbers of tokens without the ``reserved`` ones.
    """
    if size > candidates:
        raise CorpusTooSmallError(
            f"The corpus is too small for a vocabulary of {size + reserved} tokens: ask for at "
            f"most {candidates + reserved}, or upload more text."
        )
