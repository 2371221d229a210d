"""Texts to ids for training, each cut where the base's tokenizer reaches the longest input."""

from collections.abc import Sequence

from tokenizers import Encoding, Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.tokenizers.backend import unbounded


class BothTokenizers:
    """The tokenizers of teacher and student, which read the same characters of a text."""

    def __init__(
        self,
        base_tokenizer: PreTrainedTokenizerBase,
        domain_tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> None:
        self._base = bounded(base_tokenizer, max_length)
        self._domain = bounded(domain_tokenizer, max_length)

    def encode(self, texts: Sequence[str]) -> tuple[list[str], list[Encoding], list[Encoding]]:
        """Encode texts with special tokens, as the models' users do.

        Returns the texts, each cut to what the base can read of it, and both their encodings.
        """
        texts = list(texts)
        bases = self._base.encode_batch(texts)
        for place, encoding in enumerate(bases):
            if encoding.overflowing:
                texts[place] = _read(texts[place], encoding)
                bases[place] = self._base.encode(texts[place])
        return texts, bases, self._domain.encode_batch(texts)


def bounded(tokenizer: PreTrainedTokenizerBase, max_length: int) -> Tokenizer:
    """Return a copy of the backend that cuts at a number of tokens and does not pad."""
    backend = unbounded(tokenizer)
    backend.enable_truncation(max_length)
    return backend


def _read(text: str, encoding: Encoding) -> str:
    """Return the whole words at the beginning of a text that its cut encoding covers."""
    end = max(end for _, end in encoding.offsets)
    start = max((i for i in range(end) if text[i].isspace()), default=end)
    return text[: start or end]
