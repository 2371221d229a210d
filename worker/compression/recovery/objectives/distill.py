"""Distil the base into the transferred model, each reading a text with its own tokenizer.

The loss asks that what both make of the same text be alike, as a whole and word by word, so it
needs neither labels nor a head. A sentence encoder is told, too, which documents a text is like. A
student with fewer layers is told at each of them what the base has at the same depth, and one of
which a file in four bits is made learns to have no outliers. The paper distils predictions and
hidden states of one vocabulary (Gee et al. 2022, arXiv 2402.09977); why and how this differs is in
docs/decisions/0004-recovery.md.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.layers import layer_count
from worker.compression.models.pooling import AfterPooling, Pooling, pool_text
from worker.compression.models.reading import truncating_backend, whole_words_read
from worker.compression.recovery.objectives.encoding import (
    Ints,
    attention_mask,
    pad_to_tensor,
    to_device,
    token_ids,
)
from worker.compression.recovery.objectives.objective import AutoRule, Objective, ObjectiveContext
from worker.compression.recovery.objectives.outliers import (
    OUTLIER_WEIGHT,
    Outliers,
    watch_outliers,
)
from worker.compression.recovery.objectives.similarity import (
    SIMILARITY_WEIGHT,
    similarity_divergence,
)
from worker.compression.recovery.objectives.word_alignment import NO_WORD, align_words

SENTENCE_WEIGHT = 2.0
_REFERENCES_AT_ONCE = 32


@dataclass(frozen=True)
class DistillationExample:
    """Hold a text as both models read it.

    ``base_ids`` (base tokens,) and ``ids`` (student tokens,) with the word of each token, numbered
    from 0 to ``word_count`` - 1 or ``NO_WORD``, in ``base_words`` and ``words``.
    """

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


class DistillationLoss:
    """Compute 2 * (1 - cosine) of the texts' vectors plus 1 - cosine of the words' vectors.

    The words' part is that of the last layer and, where layers were dropped, the mean of the
    others. With ``references`` there is a third part, `similarity_divergence` of the texts from
    these. Where it ``limits_outliers``, those of the student cost something as it is trained. The
    student is compared with ``teacher``, which is not trained.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        teacher: PreTrainedModel,
        student: PreTrainedModel,
        base_tokenizer: PreTrainedTokenizerBase,
        domain_tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        pooling: Pooling,
        after_pooling: AfterPooling | None = None,
        references: Sequence[str] = (),
        *,
        limits_outliers: bool = False,
    ) -> None:
        self._teacher = teacher
        self._limits_outliers = limits_outliers
        self._pooling: Pooling = pooling
        self._after_pooling = after_pooling
        self._side = str(base_tokenizer.truncation_side)
        self._base_backend = truncating_backend(base_tokenizer, max_length)
        self._domain_backend = truncating_backend(domain_tokenizer, max_length)
        self._base_pad = int(base_tokenizer.pad_token_id or 0)
        self._domain_pad = int(domain_tokenizer.pad_token_id or 0)
        self._teacher_layers, self._student_layers = layers_of_like_depth(
            layer_count(body_of(teacher)), layer_count(body_of(student))
        )
        self._references = self._reference_vectors(references)

    def examples(self, texts: Sequence[str], _: int) -> list[DistillationExample | None]:
        """Encode and align texts; one without a word in common has nothing to learn from."""
        texts = list(texts)
        base_encodings = self._base_backend.encode_batch(texts)
        # The student reads no more of a text than the base could.
        for number, encoding in enumerate(base_encodings):
            if encoding.overflowing:
                texts[number] = whole_words_read(texts[number], encoding, self._side)
                base_encodings[number] = self._base_backend.encode(texts[number])
        domain_encodings = self._domain_backend.encode_batch(texts)
        alignments = align_words(texts, base_encodings, domain_encodings)
        return [
            DistillationExample(
                token_ids(base),
                token_ids(domain),
                alignment.base,
                alignment.domain,
                alignment.word_count,
            )
            if alignment.word_count
            else None
            for base, domain, alignment in zip(
                base_encodings, domain_encodings, alignments, strict=True
            )
        ]

    def num_items(self, examples: Sequence[DistillationExample]) -> tuple[int, ...]:
        """Return the number of texts and of words."""
        return len(examples), sum(example.word_count for example in examples)

    def loss(
        self,
        student: PreTrainedModel,
        examples: Sequence[DistillationExample],
        num_items: tuple[int, ...],
    ) -> Tensor:
        """Return the part of a step's loss that these examples contribute."""
        num_texts, num_words = num_items
        wanted_texts, wanted_words = self._teacher_vectors(examples)
        ids = [example.ids for example in examples]
        with self._outliers(student, ids) as outliers:
            text_vectors, word_vectors = self._vectors(
                student,
                ids,
                [example.words for example in examples],
                [example.word_count for example in examples],
                pad=self._domain_pad,
                layers=self._student_layers,
            )
        text_losses = _cosine_distance(text_vectors, wanted_texts)  # (texts,)
        word_losses = _cosine_distance(word_vectors, wanted_words)  # (words, layers)
        last_layer, other_layers = word_losses[:, -1].sum(), word_losses[:, :-1]
        others = other_layers.mean(1).sum() if other_layers.numel() else 0.0
        loss = SENTENCE_WEIGHT * text_losses.sum() / num_texts + (last_layer + others) / num_words
        if outliers is not None:
            loss += OUTLIER_WEIGHT * outliers.costs.sum() / num_texts
        if self._references is not None:
            divergence = similarity_divergence(text_vectors, wanted_texts, self._references)
            loss += SIMILARITY_WEIGHT * divergence.sum() / num_texts
        return loss

    def _outliers(
        self, student: PreTrainedModel, rows: Sequence[Ints]
    ) -> AbstractContextManager[Outliers | None]:
        """Return the block in which the student's outliers are added up, if they are to be.

        They are no part of the held-out loss, which is about how alike the models are.
        """
        if not self._limits_outliers or not torch.is_grad_enabled():
            return nullcontext()
        return watch_outliers(student, attention_mask(rows, student.device))

    @torch.no_grad()
    def _teacher_vectors(self, examples: Sequence[DistillationExample]) -> tuple[Tensor, Tensor]:
        """Return what `_vectors` does of the base, of the layers that the student answers to."""
        return self._vectors(
            self._teacher,
            [example.base_ids for example in examples],
            [example.base_words for example in examples],
            [example.word_count for example in examples],
            pad=self._base_pad,
            layers=self._teacher_layers,
        )

    def _reference_vectors(self, references: Sequence[str]) -> Tensor | None:
        """Return the base's vectors (references, hidden) of length 1; None without references."""
        if not references:
            return None
        examples = [example for example in self.examples(references, 0) if example]
        examples.sort(key=lambda example: example.length)
        vectors = [
            self._teacher_vectors(examples[start : start + _REFERENCES_AT_ONCE])[0]
            for start in range(0, len(examples), _REFERENCES_AT_ONCE)
        ]
        return normalize(torch.cat(vectors).float(), dim=-1) if vectors else None

    def _vectors(  # noqa: PLR0913
        self,
        model: PreTrainedModel,
        rows: Sequence[Ints],
        words: Sequence[Ints],
        word_counts: Sequence[int],
        *,
        pad: int,
        layers: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Return vectors of the texts (texts, hidden) and of words (words, layers, hidden)."""
        mask = attention_mask(rows, model.device)
        states = hidden_states(model, pad_to_tensor(rows, pad, model.device), mask, layers)
        # All layers are pooled in one go, side by side in the last dimension.
        pooled = pool_words(torch.cat(states, -1).float(), words, word_counts)
        word_vectors = pooled.reshape(len(pooled), len(states), -1)
        text_vectors = pool_text(states[-1].float(), mask, self._pooling)
        if self._after_pooling:
            text_vectors = self._after_pooling(text_vectors)
        return text_vectors, word_vectors


def _cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    return 1 - cosine_similarity(a, b, dim=-1)


def body_of(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model without its head; of an encoder-decoder the encoder."""
    if getattr(model.config, "is_encoder_decoder", False):
        encoder: PreTrainedModel = model.get_encoder()
        return encoder
    return cast("PreTrainedModel", model.base_model)


def layers_of_like_depth(teacher: int, student: int) -> tuple[list[int], list[int]]:
    """Return the layers after which teacher and student are compared, of so many layers each.

    The last layer is compared anyway and left out. Both are empty where no layer was dropped.
    """
    inner = range(1, student) if student < teacher else range(0)
    return [round(number * teacher / student) for number in inner], list(inner)


def hidden_states(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, layers: Sequence[int]
) -> list[Tensor]:
    """Return the states (texts, positions, hidden) after each of ``layers`` and after the last.

    ``ids`` and ``mask`` are (texts, positions).
    """
    output = body_of(model)(input_ids=ids, attention_mask=mask, output_hidden_states=bool(layers))
    return [*(output.hidden_states[number] for number in layers), output.last_hidden_state]


def pool_words(hidden: Tensor, words: Sequence[Ints], word_counts: Sequence[int]) -> Tensor:
    """Return the mean of the tokens of each word, (words of all texts, hidden).

    ``hidden`` is (texts, positions, hidden); ``words`` has a row (tokens,) a text, the number of
    each token's word or ``NO_WORD``; padding is at the right.
    """
    num_positions, num_words = hidden.shape[1], sum(word_counts)
    # All rows of words end to end, (tokens of all texts,), and the row each token is in.
    row_lengths = np.array([len(row) for row in words])
    row_starts = np.cumsum(row_lengths) - row_lengths
    word_in_row = np.concatenate(words)
    is_in_word = word_in_row != NO_WORD
    row_index = np.repeat(np.arange(len(words)), row_lengths)[is_in_word]
    column_index = np.flatnonzero(is_in_word) - row_starts[row_index]
    # Number the words through all texts: those of the texts before come first.
    first_words = np.cumsum([0, *word_counts[:-1]])  # (texts,)
    word_index = word_in_row[is_in_word] + first_words[row_index]
    tokens_per_word = np.bincount(word_index, minlength=num_words)
    flat_position, word_of_token, divisor = (
        to_device(array, hidden.device)
        for array in (row_index * num_positions + column_index, word_index, tokens_per_word)
    )
    token_states = hidden.flatten(0, 1).index_select(0, flat_position)
    sums = hidden.new_zeros(num_words, hidden.shape[-1]).index_add(0, word_of_token, token_states)
    return sums / divisor.to(hidden.dtype).unsqueeze(-1)


def _build(context: ObjectiveContext) -> DistillationLoss:
    return DistillationLoss(
        context.teacher,
        context.student,
        context.base_tokenizer,
        context.domain_tokenizer,
        context.max_length,
        context.pooling,
        context.after_pooling,
        context.references,
        limits_outliers=context.limits_outliers,
    )


DISTILL = Objective(
    name="distill",
    label="distillation from the base",
    needs="a model with hidden states",
    can_train=lambda _: True,
    build=_build,
    # The parts of documents are for vectors, which are compared as a whole.
    draws_parts=True,
    learns_queries=True,
    # Dropout in the student alone would be noise in the comparison with the teacher.
    dropout=False,
    needs_teacher=True,
    multiplies_table=False,
    passes=500,
    auto_rules=(
        AutoRule(
            priority=0,
            applies_to=lambda traits: traits.is_sentence_encoder,
            reason="a sentence encoder: its vectors are what it is used for",
        ),
        AutoRule(
            priority=0,
            applies_to=lambda traits: traits.is_cross_encoder,
            reason="layers to win back",
            only_with_fewer_layers=True,
        ),
        AutoRule(
            priority=10,
            applies_to=lambda traits: traits.has_masked_lm_head,
            reason="layers to win back",
            only_with_fewer_layers=True,
        ),
        AutoRule(
            priority=100,
            applies_to=lambda _: True,
            reason="no language-model head: its hidden states are what is used",
        ),
    ),
)
