"""Running a model on texts as its user does: its own tokenizer, padded to the longest text."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import BatchEncoding, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.loading import LoadedModel
from worker.compression.transfer.vocabulary import position_origins


class Encoder:
    """A model ready to run, and a copy of its tokenizer, whose padding it is free to change."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = _fit_to_run(loaded.model)
        self.tokenizer: PreTrainedTokenizerBase = copy.deepcopy(loaded.tokenizer)
        self.max_length = _max_length(loaded)

    def inputs(self, texts: Sequence[str]) -> BatchEncoding:
        """Return token ids and masks (texts, longest text), cut at the model's longest input."""
        inputs: BatchEncoding = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        inputs.to(self.model.device)
        return inputs

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return sentence vectors (texts, width): last hidden states averaged under the mask."""
        inputs = self.inputs(texts)
        hidden: Tensor = self.model.base_model(**inputs).last_hidden_state.float()
        mask: Tensor = inputs["attention_mask"].unsqueeze(-1).float()
        return ((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).cpu()


def _fit_to_run(model: PreTrainedModel) -> PreTrainedModel:
    """Return a float32 copy of a half-precision model on a CPU, where halves are far slower."""
    if model.device.type != "cpu" or model.dtype not in {torch.float16, torch.bfloat16}:
        return model
    copied: PreTrainedModel = copy.deepcopy(model).to(torch.float32)  # type: ignore[arg-type]
    return copied


def _max_length(loaded: LoadedModel) -> int:
    """Return the longest input in tokens; positions counted from the pad id use up rows."""
    positions = getattr(loaded.model.config, "max_position_embeddings", None) or 512
    taken = max(position_origins(loaded.model), default=-1) + 1
    return int(min(loaded.tokenizer.model_max_length, positions - taken))
