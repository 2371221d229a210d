"""Run models on texts, and pool the vector of a text: that of one of its tokens, or their mean."""

import copy
import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.architectures import ARCHITECTURES
from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import position_origins
from worker.compression.progress import Progress

# As sentence-transformers names them.
Pooling = Literal["mean", "cls", "lasttoken", "max", "weightedmean"]


def pooling_of(folder: Path, model: PreTrainedModel) -> Pooling:
    """Read the pooling of a sentence-transformers folder, or else of the model's head."""
    for file in sorted(folder.glob("*_Pooling/config.json")):
        return _read_pooling(json.loads(file.read_text("utf-8")))
    if type(model).__name__.endswith("ForSequenceClassification"):
        return _pooling_of_classifier(model.config)
    return "mean"


def _read_pooling(settings: dict[str, Any]) -> Pooling:
    """Read a pooling module; a mean divided by a root has the direction of the mean."""
    for name in get_args(Pooling):
        flags = (
            f"pooling_mode_{name}",
            f"pooling_mode_{name}_token",
            f"pooling_mode_{name}_tokens",
        )
        if settings.get("pooling_mode") == name or any(settings.get(flag) for flag in flags):
            pooling: Pooling = name
            return pooling
    return "mean"


def _pooling_of_classifier(config: PreTrainedConfig) -> Pooling:
    row = ARCHITECTURES.get(config.model_type)
    if row is None:
        return "mean" if config.is_encoder_decoder else "lasttoken"
    pooling: Pooling = (
        config.classifier_pooling if row.classifier_pooling == "config" else row.classifier_pooling
    )
    return pooling


def pool_text(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Return one vector a text (texts, width) of hidden states (texts, positions, width).

    ``mask`` (texts, positions) is 1 where there is a token, and may have padding on either side.
    """
    rows = torch.arange(len(hidden), device=hidden.device)
    places = torch.arange(mask.shape[1], device=mask.device)
    if pooling == "cls":
        return hidden[rows, mask.argmax(dim=1)]
    if pooling == "lasttoken":
        return hidden[rows, (mask * places).argmax(dim=1)]
    if pooling == "max":
        return hidden.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(dim=1)
    weights = mask * mask.cumsum(dim=1) if pooling == "weightedmean" else mask
    weights = weights.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


Inputs = dict[str, Tensor]


class Encoder:
    """Runs a model, with a copy of its tokenizer, whose padding it is free to change."""

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
        """Tell whether the model has the head of a decoder."""
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
        """Return the first output (rows, positions, …) for unpadded ids (rows, positions)."""
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


# Texts of a batch.
_BATCH = 32


class SentenceEncoder(Protocol):
    """Makes a vector of a text."""

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return vectors (texts, width), on the CPU."""
        ...


def sentence_vectors(encoder: SentenceEncoder, texts: Sequence[str], progress: Progress) -> Tensor:
    """Return one vector a text; texts are batched by length and put back in their order."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = []
    for start, batch in _batches([texts[i] for i in order]):
        progress(start / len(texts), f"{start} of {len(texts)} texts encoded")
        vectors.append(encoder.vectors(batch))
    return torch.cat(vectors)[torch.tensor(order).argsort()]


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    return ((start, texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH))
