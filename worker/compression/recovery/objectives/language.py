"""The pre-training objectives: masked, causal and denoising language modelling."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.recovery.objectives.corrupt import IGNORED, Corrupted, Noise
from worker.compression.recovery.objectives.encoding import bounded
from worker.compression.recovery.objectives.words import Ints
from worker.compression.recovery.texts.batches import filled, mask_of, moved, padded


@dataclass(frozen=True)
class Prediction:
    """What is read, and what is to be predicted: ``IGNORED`` where nothing is.

    Labels are of the positions of ``ids``, or of a decoder's own.
    """

    ids: Ints
    labels: Ints

    @property
    def length(self) -> int:
        return max(len(self.ids), len(self.labels))

    @property
    def tokens(self) -> int:
        return len(self.ids)


Corrupt = Callable[[Sequence[Ints], np.random.Generator], list[Corrupted]]


class LanguageModelling:
    """Cross-entropy in nats a predicted token."""

    def __init__(
        self, name: str, tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int
    ) -> None:
        self.name = name
        self._backend = bounded(tokenizer, max_length - (name == "clm"))
        self._pad = tokenizer.pad_token_id or 0
        self._seed = seed
        noise = Noise(tokenizer)
        corrupts: dict[str, Corrupt] = {
            "mlm": noise.mask_tokens,
            "clm": lambda rows, _: [noise.predict_next(ids) for ids in rows],
            "denoise": lambda rows, rng: [noise.hide_spans(ids, rng) for ids in rows],
        }
        self._corrupt = corrupts[name]

    def examples(self, texts: Sequence[str], start: int) -> list[Prediction | None]:
        """Encode and corrupt texts; the noise depends on the number of the first and the seed."""
        encodings = self._backend.encode_batch_fast(list(texts))
        rows = [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        corrupted = self._corrupt(rows, np.random.default_rng((self._seed, start)))
        return [
            Prediction(ids, labels) if (labels != IGNORED).any() else None
            for ids, labels in corrupted
        ]

    def units(self, examples: Sequence[Prediction]) -> tuple[int, ...]:
        """Return the predicted tokens, which the loss of a step is a mean over."""
        return (sum(int((example.labels != IGNORED).sum()) for example in examples),)

    def loss(
        self, student: PreTrainedModel, examples: Sequence[Prediction], units: tuple[int, ...]
    ) -> Tensor:
        """Return the share of a step's loss that these examples have."""
        rows, device = [example.ids for example in examples], student.device
        inputs = {
            "input_ids": padded(rows, self._pad, device),
            "attention_mask": mask_of(rows, device),
        }
        labels = filled([example.labels for example in examples], IGNORED)
        places = np.flatnonzero(labels != IGNORED)
        wanted = moved(labels.reshape(-1)[places], device)
        if self.name == "denoise":
            logits = student(**inputs, labels=moved(labels, device)).logits
            scores = logits.flatten(0, 1).index_select(0, moved(places, device))
        else:
            with predicting_only(student, moved(places, device)):
                scores = student(**inputs).logits[0]
        return cross_entropy(scores.float(), wanted, reduction="sum") / units[0]


@contextmanager
def predicting_only(model: PreTrainedModel, places: Tensor) -> Iterator[None]:
    """Let a model's head see its hidden states at these places alone.

    They are numbered through all rows of a batch; the logits (1, places, vocabulary) are theirs. A
    head works position by position, and is most of a small model's computation.
    """

    def select(_module: Any, _inputs: Any, output: Any) -> Any:
        hidden = output.last_hidden_state
        output.last_hidden_state = hidden.flatten(0, 1).index_select(0, places)[None]
        return output

    body: Module = model.get_decoder() if model.can_generate() else model.base_model  # type: ignore[no-untyped-call]
    handle = body.register_forward_hook(select)
    try:
        yield
    finally:
        handle.remove()
