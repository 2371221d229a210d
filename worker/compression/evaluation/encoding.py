"""Running a model on texts as its user does: its own tokenizer, padded to the longest text."""

import copy
import inspect
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.loading import LoadedModel
from worker.compression.pooling import pool_text, pooling_of
from worker.compression.transfer.embedding_modules import position_origins

Inputs = dict[str, Tensor]


class Encoder:
    """A model ready to run, and a copy of its tokenizer, whose padding it is free to change."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = _fit_to_run(loaded.model)
        self.tokenizer: PreTrainedTokenizerBase = copy.deepcopy(loaded.tokenizer)
        if self.tokenizer.pad_token is None:
            # Under the mask any token will do.
            self.tokenizer.pad_token = self.tokenizer.convert_ids_to_tokens(0)
        self.max_length = longest_input(loaded)
        self.pooling = pooling_of(loaded.folder, loaded.model)

    @property
    def generates(self) -> bool:
        """Whether the model has the head of a decoder."""
        return bool(self.model.can_generate())

    def inputs(self, texts: Sequence[str]) -> Inputs:
        """Return token ids and masks (texts, longest text), cut at the model's longest input.

        There are no token types: those of a single text are what models assume, and GPT-2 would
        add them up with the embeddings.
        """
        inputs = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        device = self.model.device
        return {name: inputs[name].to(device) for name in ("input_ids", "attention_mask")}

    @torch.inference_mode()
    def run(self, texts: Sequence[str]) -> Tensor:
        """Run texts through the model once and return its first output, per position.

        A decoder's head is part of it, a classifier's is not. An encoder-decoder encodes the texts
        and decodes a single position, its start token.
        """
        inputs = self.inputs(texts)
        body = self.model if self.generates else self.model.base_model
        if "decoder_input_ids" in inspect.signature(body.forward).parameters:
            start = self.model.config.decoder_start_token_id or 0
            inputs["decoder_input_ids"] = torch.full_like(inputs["input_ids"][:, :1], start)
        output: Tensor = body(**inputs)[0]
        return output

    @torch.inference_mode()
    def run_whole(self, texts: Sequence[str]) -> Tensor:
        """Run texts through the model with its head, whatever that is; returns its first output."""
        output: Tensor = self.model(**self.inputs(texts))[0]
        return output

    @torch.inference_mode()
    def logits(self, ids: Tensor) -> Tensor:
        """Return the first output for rows of token ids without padding."""
        output: Tensor = self.model(input_ids=ids.to(self.model.device))[0]
        return output

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return sentence vectors (texts, width), on the CPU, pooled as in the model's use."""
        inputs = self.inputs(texts)
        hidden = self.last_hidden(inputs)
        mask = inputs["attention_mask"].to(hidden.device)
        return pool_text(hidden, mask, self.pooling).cpu()

    def last_hidden(self, inputs: Inputs) -> Tensor:
        """Return the last hidden states (texts, positions, width) in float32.

        Those of an encoder-decoder are its encoder's.
        """
        body = self.model.base_model
        if getattr(self.model.config, "is_encoder_decoder", False):
            body = self.model.get_encoder()
        hidden: Tensor = body(**inputs).last_hidden_state.float()
        return hidden


def _fit_to_run(model: PreTrainedModel) -> PreTrainedModel:
    """Return a float32 copy of a half-precision model on a CPU, where halves are far slower."""
    if model.device.type != "cpu" or model.dtype not in {torch.float16, torch.bfloat16}:
        return model
    copied: PreTrainedModel = copy.deepcopy(model).to(torch.float32)  # type: ignore[arg-type]
    return copied


def longest_input(loaded: LoadedModel) -> int:
    """Return the longest input in tokens; positions counted from the pad id use up rows."""
    positions = getattr(loaded.model.config, "max_position_embeddings", None) or 512
    taken = max(position_origins(loaded.model), default=-1) + 1
    return int(min(loaded.tokenizer.model_max_length, positions - taken))
