"""The pre-training objectives: masked, causal and denoising language modelling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.recovery.batches import mask_of, padded
from worker.compression.recovery.corrupt import IGNORED, Noise
from worker.compression.recovery.encoding import bounded
from worker.compression.recovery.words import Ints


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


Corrupt = Callable[[Ints, np.random.Generator], tuple[Ints, Ints]]


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
            "clm": noise.predict_next,
            "denoise": noise.hide_spans,
        }
        self._corrupt = corrupts[name]

    def examples(self, texts: Sequence[str], start: int) -> list[Prediction]:
        """Encode and corrupt texts; the noise depends on the number of the first and the seed."""
        found, rng = [], np.random.default_rng((self._seed, start))
        for encoding in self._backend.encode_batch_fast(list(texts)):
            ids, labels = self._corrupt(np.array(encoding.ids, dtype=np.int64), rng)
            if (labels != IGNORED).any():
                found.append(Prediction(ids, labels))
        return found

    def units(self, examples: Sequence[Prediction]) -> tuple[int, ...]:
        """Return the predicted tokens, which the loss of a step is a mean over."""
        return (sum(int((example.labels != IGNORED).sum()) for example in examples),)

    def loss(
        self, student: PreTrainedModel, examples: Sequence[Prediction], units: tuple[int, ...]
    ) -> Tensor:
        """Return the share of a step's loss that these examples have."""
        rows, device = [example.ids for example in examples], student.device
        labels = padded([example.labels for example in examples], IGNORED, device)
        inputs = {
            "input_ids": padded(rows, self._pad, device),
            "attention_mask": mask_of(rows, device),
        }
        if self.name == "denoise":
            inputs["labels"] = labels
        logits = student(**inputs).logits
        predicted = labels != IGNORED
        return (
            cross_entropy(logits[predicted].float(), labels[predicted], reduction="sum") / units[0]
        )
