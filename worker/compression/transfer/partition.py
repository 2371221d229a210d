"""Partition: each domain token as tokens of the base (Gee et al. 2022, section 3.1)."""

from dataclasses import dataclass
from typing import Literal

from tokenizers import Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedTokenizerError
from worker.compression.tokenizers.backend import backend_json, unbounded
from worker.compression.tokenizers.family import Family, family_of

Source = Literal["copied", "averaged", "fallback", "random"]


@dataclass(frozen=True)
class Partition:
    """A domain token, where its embedding comes from, and the base tokens it is made of.

    ``fallback`` is an average over the characters that the base knows, or, where ``base_ids`` is
    empty, over the whole base vocabulary. ``unk_pieces`` are pieces dropped as unknown.
    """

    id: int
    token: str
    source: Source
    pieces: tuple[str, ...]
    base_ids: tuple[int, ...]
    unk_pieces: int = 0


def partition_vocabulary(
    base_tokenizer: PreTrainedTokenizerBase, domain_tokenizer: PreTrainedTokenizerBase
) -> list[Partition]:
    """Partition every domain token by the base tokenizer, in the order of the domain ids.

    Raises:
        UnsupportedTokenizerError: the tokenizers are of different families, so that raw tokens
            of one mean nothing to the other.

    """
    family = family_of(base_tokenizer)
    if family.name != family_of(domain_tokenizer).name:
        raise UnsupportedTokenizerError(
            "The domain tokenizer is of another family than the base tokenizer: "
            "train it with train_tokenizer."
        )
    partitioner = _Partitioner(base_tokenizer, family)
    added = set(domain_tokenizer.get_added_vocab())
    vocabulary = sorted(domain_tokenizer.get_vocab().items(), key=lambda item: item[1])
    return [partitioner.partition(i, token, token in added) for token, i in vocabulary]


class _Partitioner:
    def __init__(self, base_tokenizer: PreTrainedTokenizerBase, family: Family) -> None:
        self.family = family
        self.backend: Tokenizer = unbounded(base_tokenizer)
        self.known: dict[str, int] = base_tokenizer.get_vocab()
        self.unk: str | None = backend_json(base_tokenizer)["model"].get("unk_token")

    def partition(self, token_id: int, token: str, is_added: bool) -> Partition:
        if token in self.known:
            return Partition(token_id, token, "copied", (token,), (self.known[token],))
        split = self._split_text(token) if is_added else self._split_raw(token)
        pieces = self._known(split)
        source: Source = "averaged"
        if not pieces:
            characters = (self._split_raw(char) for char in self.family.spell(token))
            pieces = self._known([piece for split in characters for piece in split])
            source = "fallback"
        ids = tuple(self.known[piece] for piece in pieces)
        return Partition(token_id, token, source, pieces, ids, split.count(self.unk or ""))

    def _split_raw(self, token: str) -> list[str]:
        # The model splits the raw token by its position in the word; the tokenizer would read a
        # mark such as "##" as text.
        return [piece.value for piece in self.backend.model.tokenize(token)]

    def _split_text(self, text: str) -> list[str]:
        """Split an added token as text: it stands before normalization, not inside a word."""
        tokens: list[str] = self.backend.encode(text, add_special_tokens=False).tokens
        return tokens

    def _known(self, pieces: list[str]) -> tuple[str, ...]:
        return tuple(piece for piece in pieces if piece != self.unk)
