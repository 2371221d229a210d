"""Hidden states of teacher and student, of tokens and of words, at like depth."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from worker.compression.recovery.objectives.words import Ints
from worker.compression.recovery.texts.batches import moved


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
