"""Self-distillation across tokenizers: the base, with its own, teaches the transferred model.

The loss asks that what both make of the same text be alike, as a whole and word by word, so it
needs neither labels nor a head. A student with fewer layers is told at each of them what the base
has at the same depth. Source: this project's own measurements (DESIGN, docs/decisions/0004).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.encoder import Pooling, pool_text
from worker.compression.models.layers import layer_count
from worker.compression.recovery.batching import mask_of, moved, padded
from worker.compression.recovery.objectives.word_alignment import Ints, align_words
from worker.compression.tokenizers.tokenizer_json import unbounded


def hidden_states(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, layers: Sequence[int]
) -> list[Tensor]:
    """Return the states (texts, positions, width) after so many layers, and after the last."""
    output = body_of(model)(input_ids=ids, attention_mask=mask, output_hidden_states=bool(layers))
    return [*(output.hidden_states[number] for number in layers), output.last_hidden_state]


def body_of(model: PreTrainedModel) -> PreTrainedModel:
    """Return what reads a text: the model without its head, of an encoder-decoder the encoder."""
    if getattr(model.config, "is_encoder_decoder", False):
        encoder: PreTrainedModel = model.get_encoder()
        return encoder
    return cast("PreTrainedModel", model.base_model)


def layers_of_like_depth(teacher: int, student: int) -> tuple[list[int], list[int]]:
    """Return after how many layers both are compared, but for the last; never if none is gone."""
    inner = range(1, student) if student < teacher else range(0)
    return [round(number * teacher / student) for number in inner], list(inner)


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
