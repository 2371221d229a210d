"""Self-distillation across tokenizers: the base, with its own, teaches the transferred model.

The loss asks that what both make of the same text be alike, as a whole and word by word, so it
needs neither labels nor a head. Source: this project's own measurements (DESIGN).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.pooling import Pooling, pool_text
from worker.compression.recovery.objectives.encoding import BothTokenizers
from worker.compression.recovery.objectives.words import Ints, align_words
from worker.compression.recovery.texts.batches import mask_of, moved, padded

SENTENCE_WEIGHT = 2.0


@dataclass(frozen=True)
class Pair:
    """A text as both models read it: ids, and the word of each (``NO_WORD`` for none)."""

    base_ids: Ints
    ids: Ints
    base_words: Ints
    words: Ints
    word_count: int

    @property
    def length(self) -> int:
        return max(len(self.base_ids), len(self.ids))

    @property
    def tokens(self) -> int:
        return len(self.ids)


def _ids(encoding: Encoding) -> Ints:
    return np.array(encoding.ids, dtype=np.int64)


class Distill:
    """1 - cosine of the texts' vectors, weighted 2, plus 1 - cosine of the words'."""

    name = "distill"

    def __init__(
        self, teacher: PreTrainedModel, tokenizers: BothTokenizers, pads: Ints, pooling: Pooling
    ) -> None:
        self._teacher = teacher
        self._tokenizers = tokenizers
        self._pads = pads
        self._pooling: Pooling = pooling

    def examples(self, texts: Sequence[str], _: int) -> list[Pair | None]:
        """Encode and align texts; one without a word in common has nothing to learn from."""
        read, bases, domains = self._tokenizers.encode(texts)
        found = align_words(read, bases, domains)
        return [
            Pair(_ids(base), _ids(domain), words.base, words.domain, words.count)
            if words.count
            else None
            for base, domain, words in zip(bases, domains, found, strict=True)
        ]

    def units(self, pairs: Sequence[Pair]) -> tuple[int, ...]:
        """Return the texts and words that the losses of a step are means over."""
        return len(pairs), sum(pair.word_count for pair in pairs)

    def loss(
        self, student: PreTrainedModel, pairs: Sequence[Pair], units: tuple[int, ...]
    ) -> Tensor:
        """Return the share of a step's loss that these pairs have."""
        texts, words = units
        with torch.no_grad():
            wanted = self._vectors(self._teacher, pairs, 0)
        got = self._vectors(student, pairs, 1)
        far = [
            (1 - cosine_similarity(a, b, dim=-1)).sum() for a, b in zip(got, wanted, strict=True)
        ]
        return SENTENCE_WEIGHT * far[0] / texts + far[1] / words

    def _vectors(
        self, model: PreTrainedModel, pairs: Sequence[Pair], side: int
    ) -> tuple[Tensor, Tensor]:
        """Return vectors of the texts (texts, width) and of their words (words, width)."""
        rows = [(pair.base_ids, pair.ids)[side] for pair in pairs]
        groups = [(pair.base_words, pair.words)[side] for pair in pairs]
        mask = mask_of(rows, model.device)
        ids = padded(rows, int(self._pads[side]), model.device)
        hidden = last_hidden(model, ids, mask).float()
        return pool_text(hidden, mask, self._pooling), pool_words(
            hidden, groups, [pair.word_count for pair in pairs]
        )


def last_hidden(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the last hidden states (texts, positions, width), of an encoder-decoder's encoder."""
    body = model.base_model
    if getattr(model.config, "is_encoder_decoder", False):
        body = model.get_encoder()
    hidden: Tensor = body(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden


def pool_words(hidden: Tensor, words: Sequence[Ints], counts: Sequence[int]) -> Tensor:
    """Return the mean of the tokens of each word, (words of all texts, width)."""
    width, total = hidden.shape[1], sum(counts)
    lengths = np.array([len(row) for row in words])
    ends, rows = np.cumsum(lengths), np.repeat(np.arange(len(words)), lengths)
    flat = np.concatenate(words)
    real = flat >= 0
    rows = rows[real]
    columns = np.flatnonzero(real) - (ends - lengths)[rows]
    groups = flat[real] + np.cumsum([0, *counts[:-1]])[rows]
    sizes = np.bincount(groups, minlength=total)
    places, of, tokens_of = (
        moved(array, hidden.device) for array in (columns + rows * width, groups, sizes)
    )
    tokens = hidden.flatten(0, 1).index_select(0, places)
    pooled = hidden.new_zeros(total, hidden.shape[-1]).index_add(0, of, tokens)
    return pooled / tokens_of.to(hidden.dtype).unsqueeze(-1)


def distillation(
    teacher: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    pooling: Pooling,
) -> Distill:
    """Return the objective of a pair of models."""
    pads = [tokenizer.pad_token_id or 0 for tokenizer in (base_tokenizer, domain_tokenizer)]
    tokenizers = BothTokenizers(base_tokenizer, domain_tokenizer, max_length)
    return Distill(teacher, tokenizers, np.array(pads), pooling)
