"""Self-distillation across tokenizers: the base, with its own, teaches the transferred model.

The loss asks that what both make of the same text be alike, as a whole and word by word, so it
needs neither labels nor a head. A student with fewer layers is told at each of them what the base
has at the same depth. Source: this project's own measurements (DESIGN, docs/decisions/0004).
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
from worker.compression.recovery.layers import layer_count
from worker.compression.recovery.objectives.encoding import BothTokenizers
from worker.compression.recovery.objectives.states import (
    body_of,
    hidden_states,
    layers_of_like_depth,
    pool_words,
)
from worker.compression.recovery.objectives.words import Ints, align_words
from worker.compression.recovery.texts.batches import mask_of, padded

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
    """1 - cosine of the texts' vectors, weighted 2, plus 1 - cosine of the words'.

    The words' are those of the last layer and, where layers were dropped, the mean of the others.
    """

    name = "distill"

    def __init__(
        self,
        teacher: PreTrainedModel,
        tokenizers: BothTokenizers,
        pads: Ints,
        pooling: Pooling,
        layers: tuple[Sequence[int], Sequence[int]],
    ) -> None:
        self._teacher = teacher
        self._layers = layers
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
        of_texts, of_words = map(_far, got, wanted)
        last, others = of_words[:, -1].sum(), of_words[:, :-1]
        inner = others.mean(1).sum() if others.numel() else 0.0
        return SENTENCE_WEIGHT * of_texts.sum() / texts + (last + inner) / words

    def _vectors(
        self, model: PreTrainedModel, pairs: Sequence[Pair], side: int
    ) -> tuple[Tensor, Tensor]:
        """Return vectors of the texts (texts, width) and of their words (words, layers, width)."""
        rows = [(pair.base_ids, pair.ids)[side] for pair in pairs]
        groups = [(pair.base_words, pair.words)[side] for pair in pairs]
        mask = mask_of(rows, model.device)
        ids = padded(rows, int(self._pads[side]), model.device)
        states = hidden_states(model, ids, mask, self._layers[side])
        counts = [pair.word_count for pair in pairs]
        words = pool_words(torch.cat(states, -1).float(), groups, counts)
        by_layer = words.reshape(len(words), len(states), -1)
        return pool_text(states[-1].float(), mask, self._pooling), by_layer


def _far(a: Tensor, b: Tensor) -> Tensor:
    return 1 - cosine_similarity(a, b, dim=-1)


def distillation(  # noqa: PLR0913, PLR0917
    teacher: PreTrainedModel,
    student: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    pooling: Pooling,
) -> Distill:
    """Return the objective of a pair of models."""
    pads = [tokenizer.pad_token_id or 0 for tokenizer in (base_tokenizer, domain_tokenizer)]
    tokenizers = BothTokenizers(base_tokenizer, domain_tokenizer, max_length)
    depths = [layer_count(body_of(model)) for model in (teacher, student)]
    layers = layers_of_like_depth(*depths)
    return Distill(teacher, tokenizers, np.array(pads), pooling, layers)
