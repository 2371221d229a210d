"""Predict hidden tokens of a text from all others (Devlin et al. 2019, arXiv 1810.04805)."""

from collections.abc import Sequence

import numpy as np
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.recovery.objectives.encoding import Ints
from worker.compression.recovery.objectives.language_modeling import (
    IGNORED,
    Corrupted,
    LanguageModelingLoss,
    special_token_flags,
)
from worker.compression.recovery.objectives.objective import AutoRule, Objective, ObjectiveContext

_HIDDEN = 0.15
"""Share of a text's ordinary tokens that are predicted."""
_READ_AS_MASK, _READ_AS_MASK_OR_RANDOM = 0.8, 0.9
"""Shares of the hidden tokens; the rest is read as it is."""


class TokenMasking:
    """Hide 15 % of the ordinary tokens of each text, at least one.

    80 % of them are read as the mask token, 10 % as a random token, 10 % as themselves.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._is_special = special_token_flags(tokenizer)
        self._ordinary_ids = np.flatnonzero(~self._is_special)
        self._mask_id = tokenizer.mask_token_id

    def __call__(self, rows: Sequence[Ints], rng: np.random.Generator) -> list[Corrupted]:
        """Return what is read and the labels of each row of ids (tokens,)."""
        # All texts are corrupted at once, laid end to end: (tokens of all texts,).
        ids = np.concatenate([*rows, np.empty(0, np.int64)])
        lengths = [len(row) for row in rows]
        hidden = self._hidden_positions(ids, lengths, rng)
        labels = np.full_like(ids, IGNORED)
        labels[hidden] = ids[hidden]
        draw = rng.random(hidden.size)
        ids[hidden[draw < _READ_AS_MASK]] = self._mask_id
        randomized = hidden[(draw >= _READ_AS_MASK) & (draw < _READ_AS_MASK_OR_RANDOM)]
        ids[randomized] = rng.choice(self._ordinary_ids, randomized.size)
        ends = np.cumsum(lengths)[:-1]
        return list(zip(np.split(ids, ends), np.split(labels, ends), strict=True))[: len(rows)]

    def _hidden_positions(self, ids: Ints, lengths: list[int], rng: np.random.Generator) -> Ints:
        """Return the positions to hide, (hidden tokens,), in ``ids`` (tokens of all texts,)."""
        positions = np.flatnonzero(~self._is_special[ids])
        row_index = np.repeat(np.arange(len(lengths)), lengths)[positions]
        # Shuffle the positions within each row; the rows stay in order.
        shuffled = positions[np.lexsort((rng.random(positions.size), row_index))]
        # Take the first ones of each row: those whose rank in the row is below its quota.
        row_sizes = np.bincount(row_index, minlength=len(lengths))
        row_starts = np.cumsum(row_sizes) - row_sizes
        rank_in_row = np.arange(positions.size) - np.repeat(row_starts, row_sizes)
        quota = np.maximum(1, np.rint(_HIDDEN * row_sizes))
        hidden: Ints = shuffled[rank_in_row < quota[row_index]]
        return hidden


def masked_lm_loss(
    tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int
) -> LanguageModelingLoss:
    """Return the loss of masked language modelling."""
    return LanguageModelingLoss(tokenizer, TokenMasking(tokenizer), max_length, seed)


def _build(context: ObjectiveContext) -> LanguageModelingLoss:
    return masked_lm_loss(context.domain_tokenizer, context.max_length, context.seed)


MASKED_LM = Objective(
    name="mlm",
    label="masked language modelling",
    needs="a model with a mask token and a masked-language-model head",
    can_train=lambda traits: traits.has_masked_lm_head,
    build=_build,
    auto_rules=(
        AutoRule(
            priority=10,
            applies_to=lambda traits: traits.has_masked_lm_head,
            reason="an encoder with a masked-language-model head",
        ),
    ),
)
