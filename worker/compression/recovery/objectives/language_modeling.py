"""Compute the cross-entropy of predicted tokens: what the language-model objectives share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.reading import truncating_backend
from worker.compression.recovery.objectives.encoding import (
    Ints,
    attention_mask,
    pad_to_array,
    pad_to_tensor,
    to_device,
    token_ids,
)

IGNORED = -100
"""The label of a position where nothing is predicted, as in transformers."""

Corrupted = tuple[Ints, Ints]
"""Input ids (input tokens,) and labels (positions of the logits,) of a text."""
Corrupt = Callable[[Sequence[Ints], np.random.Generator], list[Corrupted]]
"""Corrupts the ids of texts, one row (tokens,) a text, with the generator's noise."""


def special_token_flags(tokenizer: PreTrainedTokenizerBase) -> NDArray[np.bool_]:
    """Return (vocabulary,), true at the ids of special tokens."""
    is_special = np.zeros(len(tokenizer), dtype=bool)
    is_special[sorted(set(tokenizer.all_special_ids))] = True
    return is_special


@dataclass(frozen=True)
class LanguageModelingExample:
    """Hold the input ids of a text and its labels, ``IGNORED`` where nothing is predicted.

    Labels belong to the positions of ``ids``, or of an encoder-decoder's decoder.
    """

    ids: Ints
    labels: Ints

    @property
    def length(self) -> int:
        return max(len(self.ids), len(self.labels))

    @property
    def tokens(self) -> int:
        return len(self.ids)


class LanguageModelingLoss:
    """Compute the mean cross-entropy in nats of the predicted tokens of corrupted texts."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, corrupt: Corrupt, max_length: int, seed: int
    ) -> None:
        self._backend = truncating_backend(tokenizer, max_length)
        self._corrupt = corrupt
        self._pad = tokenizer.pad_token_id or 0
        self._seed = seed

    def examples(self, texts: Sequence[str], start: int) -> list[LanguageModelingExample | None]:
        """Encode and corrupt texts; the noise is that of the seed and of ``start``."""
        rows = [token_ids(encoding) for encoding in self._backend.encode_batch_fast(list(texts))]
        corrupted = self._corrupt(rows, np.random.default_rng((self._seed, start)))
        return [
            LanguageModelingExample(ids, labels) if (labels != IGNORED).any() else None
            for ids, labels in corrupted
        ]

    def num_items(self, examples: Sequence[LanguageModelingExample]) -> tuple[int, ...]:
        """Return the number of predicted tokens."""
        return (sum(int((example.labels != IGNORED).sum()) for example in examples),)

    def loss(
        self,
        student: PreTrainedModel,
        examples: Sequence[LanguageModelingExample],
        num_items: tuple[int, ...],
    ) -> Tensor:
        """Return the cross-entropy summed over these examples, divided by the step's tokens."""
        rows, device = [example.ids for example in examples], student.device
        inputs = {
            "input_ids": pad_to_tensor(rows, self._pad, device),
            "attention_mask": attention_mask(rows, device),
        }
        labels = pad_to_array([example.labels for example in examples], IGNORED)
        # Positions are counted through all rows: row * width + column.
        positions = np.flatnonzero(labels != IGNORED)
        targets = to_device(labels.reshape(-1)[positions], device)
        logits = self._logits_at(student, inputs, labels, to_device(positions, device))
        return cross_entropy(logits.float(), targets, reduction="sum") / num_items[0]

    def _logits_at(
        self, student: PreTrainedModel, inputs: dict[str, Tensor], labels: Ints, positions: Tensor
    ) -> Tensor:
        """Return the logits (positions, vocabulary) that predict the labels (texts, width)."""
        del labels  # an encoder-decoder reads them
        with head_reads_only(student, positions):
            logits: Tensor = student(**inputs).logits[0]
        return logits


@contextmanager
def head_reads_only(model: PreTrainedModel, positions: Tensor) -> Iterator[None]:
    """Let the head of a model read its hidden states at some positions alone.

    ``positions`` (positions,) are counted through all rows of a batch; the logits are then
    (1, positions, vocabulary). A head works position by position, and is most of a small model's
    computation.
    """

    def select(_module: Any, _inputs: Any, output: Any) -> Any:
        hidden = output.last_hidden_state  # (texts, width of the batch, hidden size)
        output.last_hidden_state = hidden.flatten(0, 1).index_select(0, positions)[None]
        return output

    body: Module = model.get_decoder() if model.can_generate() else model.base_model  # type: ignore[no-untyped-call]
    handle = body.register_forward_hook(select)
    try:
        yield
    finally:
        handle.remove()
