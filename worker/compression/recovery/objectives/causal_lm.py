"""Predict each token of a text from those before it."""

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


class NextTokens:
    """Label each position with the token after it; put a start token first where none is.

    That is bos, or else eos, which stands between documents in GPT-2's training.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._is_special = special_token_flags(tokenizer)
        candidates = (tokenizer.bos_token_id, tokenizer.eos_token_id, 0)
        self._start_id = next(int(i) for i in candidates if i is not None)

    def __call__(self, rows: Sequence[Ints], _: np.random.Generator) -> list[Corrupted]:
        """Return what is read and the labels of each row of ids (tokens,)."""
        return [self._next_tokens(ids) for ids in rows]

    def _next_tokens(self, ids: Ints) -> Corrupted:
        if ids.size and not self._is_special[ids[0]]:
            ids = np.concatenate([[self._start_id], ids])
        return ids, np.concatenate([ids[1:], [IGNORED]])


def causal_lm_loss(
    tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int
) -> LanguageModelingLoss:
    """Return the loss of causal language modelling; one position is left for a start token."""
    return LanguageModelingLoss(tokenizer, NextTokens(tokenizer), max_length - 1, seed)


def _build(context: ObjectiveContext) -> LanguageModelingLoss:
    return causal_lm_loss(context.domain_tokenizer, context.max_length, context.seed)


CAUSAL_LM = Objective(
    name="clm",
    label="causal language modelling",
    needs="a decoder with its language-model head",
    can_train=lambda traits: traits.has_causal_lm_head,
    build=_build,
    auto_rules=(
        AutoRule(
            priority=20,
            applies_to=lambda traits: traits.has_causal_lm_head,
            reason="a decoder with its language-model head",
        ),
    ),
)
