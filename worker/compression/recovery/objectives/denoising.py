"""Restore hidden spans of a text with an encoder-decoder, as T5 or as BART does."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.recovery.objectives.encoding import Ints, to_device
from worker.compression.recovery.objectives.language_modeling import (
    IGNORED,
    Corrupted,
    LanguageModelingLoss,
    special_token_flags,
)
from worker.compression.recovery.objectives.objective import AutoRule, Objective, ObjectiveContext

_MEAN_SPAN = 3.0
_SENTINEL_NOISE, _INFILLING_NOISE = 0.15, 0.3
"""Shares of the tokens that are hidden: T5's and BART's."""


def draw_spans(length: int, noise: float, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw spans (start, stop) that hold a share ``noise`` of ``length`` tokens, in order.

    Spans neither overlap nor touch. Their number is that of a mean length of three; lengths are
    drawn evenly among all ways to divide the hidden tokens (Raffel et al. 2020, arXiv 1910.10683).
    """
    hidden = min(max(1, round(noise * length)), length - 1)
    count = max(1, min(round(hidden / _MEAN_SPAN), length - hidden))
    sizes, gaps = _divide(hidden, count, rng), _divide(length - hidden, count, rng)
    spans, position = [], 0
    for gap, size in zip(gaps, sizes, strict=True):
        spans.append((position + gap, position + gap + size))
        position += gap + size
    return spans


def _divide(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """Divide a number into so many parts of at least one, every way as likely as another."""
    cuts = np.sort(rng.choice(np.arange(1, total), parts - 1, replace=False))
    return [int(part) for part in np.diff([0, *cuts.tolist(), total])]


class SpanCorruption:
    """Hide spans of about three tokens, in the way the tokenizer's model was trained.

    With sentinels (T5) one stands for each span, 15 % of the tokens, and the target lists the
    spans. With a mask token (BART) it stands for each span, 30 % of the tokens, and the target is
    the whole text. Else the second half of the text is the target of the first.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._is_special = special_token_flags(tokenizer)
        self._mask_id = tokenizer.mask_token_id
        vocabulary = tokenizer.get_vocab()
        sentinels = (f"<extra_id_{number}>" for number in range(100))
        self._sentinel_ids = [vocabulary[token] for token in sentinels if token in vocabulary]

    def __call__(self, rows: Sequence[Ints], rng: np.random.Generator) -> list[Corrupted]:
        """Return what the encoder reads and what the decoder writes, of each row of ids."""
        return [self._hide_spans(ids, rng) for ids in rows]

    def _hide_spans(self, ids: Ints, rng: np.random.Generator) -> Corrupted:
        ordinary = np.flatnonzero(~self._is_special[ids])
        if ordinary.size < 2:
            return ids, np.full(1, IGNORED)
        first, last = ordinary[0], ordinary[-1] + 1
        # Special tokens around the text are never hidden.
        head, body, tail = ids[:first], ids[first:last], ids[last:]
        if self._sentinel_ids:
            return self._replace_by_sentinels(head, body, tail, rng)
        if self._mask_id is not None:
            return self._replace_by_masks(head, body, tail, rng), ids
        middle = len(body) // 2
        return np.concatenate([head, body[:middle], tail]), np.concatenate([body[middle:], tail])

    def _replace_by_sentinels(
        self, head: Ints, body: Ints, tail: Ints, rng: np.random.Generator
    ) -> Corrupted:
        source, target, end = [head], list[Ints](), 0
        spans = draw_spans(len(body), _SENTINEL_NOISE, rng)
        # A long text has more spans than there are sentinels: the rest stays as it is.
        for sentinel, (start, stop) in zip(self._sentinel_ids, spans, strict=False):
            source += [body[end:start], np.array([sentinel])]
            target += [np.array([sentinel]), body[start:stop]]
            end = stop
        return np.concatenate([*source, body[end:], tail]), np.concatenate([*target, tail])

    def _replace_by_masks(
        self, head: Ints, body: Ints, tail: Ints, rng: np.random.Generator
    ) -> Ints:
        source, end = [head], 0
        for start, stop in draw_spans(len(body), _INFILLING_NOISE, rng):
            source += [body[end:start], np.array([self._mask_id])]
            end = stop
        return np.concatenate([*source, body[end:], tail])


class DenoisingLoss(LanguageModelingLoss):
    """Compute the cross-entropy of what an encoder-decoder's decoder writes."""

    def _logits_at(
        self, student: PreTrainedModel, inputs: dict[str, Tensor], labels: Ints, positions: Tensor
    ) -> Tensor:
        # From the labels the model makes what its decoder reads.
        logits = student(**inputs, labels=to_device(labels, student.device)).logits
        at_positions: Tensor = logits.flatten(0, 1).index_select(0, positions)
        return at_positions


def denoising_loss(tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int) -> DenoisingLoss:
    """Return the loss of denoising."""
    return DenoisingLoss(tokenizer, SpanCorruption(tokenizer), max_length, seed)


def _build(context: ObjectiveContext) -> DenoisingLoss:
    return denoising_loss(context.domain_tokenizer, context.max_length, context.seed)


DENOISING = Objective(
    name="denoise",
    label="denoising: restoring hidden spans",
    needs="an encoder-decoder with its head",
    can_train=lambda traits: traits.has_seq2seq_head,
    build=_build,
    auto_rules=(
        AutoRule(
            priority=30,
            applies_to=lambda traits: traits.has_seq2seq_head,
            reason="an encoder-decoder with its head",
        ),
    ),
)
