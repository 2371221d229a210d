"""Distil the scores of a cross-encoder, each model reading a pair of texts with its own tokenizer.

The pairs are made of the corpus, so no labels are needed. The student learns the base's logits by
their mean squared error, as rankers are distilled (Hofstätter et al. 2020, arXiv 2010.02666).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.reading import make_pairs, truncating_backend
from worker.compression.recovery.objectives.encoding import (
    Ints,
    attention_mask,
    pad_to_tensor,
    token_ids,
)
from worker.compression.recovery.objectives.objective import AutoRule, Objective, ObjectiveContext


@dataclass(frozen=True)
class _Row:
    """Holds ids and token types (tokens,) of a pair or a text."""

    ids: Ints
    types: Ints


@dataclass(frozen=True)
class ScoreExample:
    """Hold a pair of texts, or a text, as both models read it."""

    base: _Row
    student: _Row

    @property
    def length(self) -> int:
        return max(len(self.base.ids), len(self.student.ids))

    @property
    def tokens(self) -> int:
        return len(self.student.ids)


class _Reader:
    """Encodes with one tokenizer, and runs a model on what it made."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self._backend: Tokenizer = truncating_backend(tokenizer, max_length)
        self._pad = int(tokenizer.pad_token_id or 0)
        self._has_types = "token_type_ids" in tokenizer.model_input_names

    def rows(self, texts: Sequence[Any]) -> list[_Row]:
        """Return a row a text, or a pair of texts; the longer of a pair is truncated first."""
        return [_row(encoding) for encoding in self._backend.encode_batch(list(texts))]

    def scores(self, model: PreTrainedModel, rows: Sequence[_Row]) -> Tensor:
        """Return the model's logits (texts, labels) in float32."""
        ids, device = [row.ids for row in rows], model.device
        # A head that reads the last token finds it by the pad token of the config.
        pad = model.config.pad_token_id
        inputs = {
            "input_ids": pad_to_tensor(ids, self._pad if pad is None else int(pad), device),
            "attention_mask": attention_mask(ids, device),
        }
        if self._has_types:
            types = [row.types for row in rows]
            inputs["token_type_ids"] = pad_to_tensor(types, 0, device)
        logits: Tensor = model(**inputs).logits
        return logits.float()


def _row(encoding: Encoding) -> _Row:
    return _Row(token_ids(encoding), np.array(encoding.type_ids, dtype=np.int64))


class ScoreDistillationLoss:
    """Compute the mean squared difference of the student's logits from the teacher's."""

    def __init__(self, context: ObjectiveContext) -> None:
        self._teacher = context.teacher
        self._base = _Reader(context.base_tokenizer, context.max_length)
        self._student = _Reader(context.domain_tokenizer, context.max_length)
        kind = context.base.kind
        self._reads_pairs = kind.role == "cross_encoder"
        self._prompt, self._seed = kind.default_prompt, context.seed

    def examples(self, texts: Sequence[str], start: int) -> list[ScoreExample | None]:
        """Make pairs of the texts, or take each by itself where the model labels single texts."""
        read: list[Any] = list(texts)
        if self._reads_pairs:
            pairs = make_pairs(texts, self._seed * 1_000_003 + start)
            read = [(self._prompt + first, second) for first, second in pairs]
        both = zip(self._base.rows(read), self._student.rows(read), strict=True)
        return [ScoreExample(base, student) for base, student in both]

    def num_items(self, examples: Sequence[ScoreExample]) -> tuple[int, ...]:
        """Return the number of pairs or texts."""
        return (len(examples),)

    def loss(
        self,
        student: PreTrainedModel,
        examples: Sequence[ScoreExample],
        num_items: tuple[int, ...],
    ) -> Tensor:
        """Return the part of a step's loss that these examples contribute."""
        with torch.no_grad():
            wanted = self._base.scores(self._teacher, [example.base for example in examples])
        scores = self._student.scores(student, [example.student for example in examples])
        return mse_loss(scores, wanted, reduction="none").mean(-1).sum() / num_items[0]


DISTILL_SCORES = Objective(
    name="distill_scores",
    label="distillation of the base's scores",
    needs="a cross-encoder or a classifier",
    can_train=lambda traits: traits.has_classification_head and not traits.is_sentence_encoder,
    build=ScoreDistillationLoss,
    # Texts of all lengths: a query is shorter than a document.
    draws_parts=True,
    dropout=False,
    needs_teacher=True,
    multiplies_table=False,
    passes=500,
    auto_rules=(
        AutoRule(
            priority=0,
            applies_to=lambda traits: traits.is_cross_encoder,
            reason="a cross-encoder: its scores of pairs are what it is used for",
        ),
    ),
)
