"""Run models on texts as their programs do: prompts before them, cut where they are cut."""

import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.loading import LoadedModel
from worker.compression.models.pooling import after_pooling, pool_text, pools_prompt
from worker.compression.models.reading import Pair, longest_input
from worker.compression.models.traits import model_traits
from worker.compression.progress import Progress

Inputs = dict[str, Tensor]


class Encoder:
    """Runs a model, with a copy of its tokenizer, whose padding it is free to change.

    ``prompt`` stands before every text that is run, as in the model's program.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.traits, self.kind = model_traits(loaded), loaded.kind
        self.model = _fit_to_run(loaded.model)
        self.tokenizer: PreTrainedTokenizerBase = copy.deepcopy(loaded.tokenizer)
        if self.tokenizer.pad_token is None:
            # Under the mask any token will do.
            self.tokenizer.pad_token = self.tokenizer.convert_ids_to_tokens(0)
        self.max_length = longest_input(loaded)
        self.pooling = self.traits.pooling
        self.prompt = loaded.kind.default_prompt
        self._after_pooling = after_pooling(loaded.folder, loaded.kind)
        self._pools_prompt = pools_prompt(loaded.folder, loaded.kind)

    @property
    def computes_in(self) -> str | None:
        """Return the type that a runtime computes in here where it is not its file's, else None."""
        return None

    @property
    def generates(self) -> bool:
        """Tell whether the text it generates is what the model is used for."""
        return self.traits.generates

    def inputs(self, texts: Sequence[str]) -> Inputs:
        """Return token ids and masks (texts, longest text), cut at the model's longest input.

        There are no token types: those of a single text are what models assume, and GPT-2 would
        add them up with the embeddings. There is no prompt either.
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

    def pair_inputs(self, pairs: Sequence[Pair]) -> Inputs:
        """Return the inputs of pairs, the longer text of each cut first; with token types.

        The prompt stands before the first text of a pair.
        """
        inputs = self.tokenizer(
            [self.prompt + first for first, _ in pairs],
            [second for _, second in pairs],
            padding=True,
            truncation="longest_first",
            max_length=self.max_length,
            return_tensors="pt",
        )
        accepted = inspect.signature(self.model.forward).parameters
        named = (n for n in ("input_ids", "attention_mask", "token_type_ids") if n in inputs)
        return {name: inputs[name].to(self.model.device) for name in named if name in accepted}

    @torch.inference_mode()
    def scores(self, pairs: Sequence[Pair]) -> Tensor:
        """Return the scores (pairs, labels) of a cross-encoder on the CPU, before an activation."""
        logits: Tensor = self.model(**self.pair_inputs(pairs)).logits
        return logits.float().cpu()

    @torch.inference_mode()
    def head_logits(self, inputs: Inputs) -> Tensor:
        """Return the logits of the head, one for labels or tags, for inputs of texts."""
        logits: Tensor = self.model(**inputs).logits
        return logits.float()

    def _with_prompt(self, texts: Sequence[str]) -> list[str]:
        return [self.prompt + text for text in texts]

    @torch.inference_mode()
    def run(self, texts: Sequence[str]) -> Tensor:
        """Run texts through the model once and return its first output, per position.

        The head of a decoder or a cross-encoder is part of it, a classifier's is not. An
        encoder-decoder encodes the texts and decodes a single position, its start token.
        """
        inputs = self.inputs(self._with_prompt(texts))
        if self.traits.is_sentence_encoder:
            return self.last_hidden(inputs)
        needs_head = self.generates or self.traits.is_cross_encoder
        body = self.model if needs_head else self.model.base_model
        if "decoder_input_ids" in inspect.signature(body.forward).parameters:
            start = self.model.config.decoder_start_token_id or 0
            inputs["decoder_input_ids"] = torch.full_like(inputs["input_ids"][:, :1], start)
        output: Tensor = body(**inputs)[0]
        return output

    @torch.inference_mode()
    def run_in_use(self, texts: Sequence[str]) -> Tensor:
        """Run texts as `run` does, but for a decoder's head: it computes the last position alone.

        So does a decoder in its use, before the first token that it generates.
        """
        keeps = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        if not (self.generates and keeps) or self.model.config.is_encoder_decoder:
            return self.run(texts)
        output: Tensor = self.model(**self.inputs(self._with_prompt(texts)), logits_to_keep=1)[0]
        return output

    @torch.inference_mode()
    def run_whole(self, texts: Sequence[str]) -> Tensor:
        """Run texts through the model with its head, if it has a use; returns its first output."""
        if self.traits.is_sentence_encoder:
            return self.run(texts)
        output: Tensor = self.model(**self.inputs(self._with_prompt(texts)))[0]
        return output

    @torch.inference_mode()
    def logits(self, ids: Tensor) -> Tensor:
        """Return the first output (rows, positions, …) for unpadded ids (rows, positions)."""
        output: Tensor = self.model(input_ids=ids.to(self.model.device))[0]
        return output

    @torch.inference_mode()
    def logits_at(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Return the first output (rows, …) of unpadded ids (rows, positions), a position a row.

        The head computes that position alone: of a large vocabulary the others take most of the
        time. A head that does not work position by position computes them all.
        """
        rows, at = torch.arange(len(ids)), positions.to(self.model.device)

        def keep(_module: object, _inputs: object, output: BaseModelOutput) -> BaseModelOutput:
            hidden = output["last_hidden_state"]  # (rows, positions, width)
            output["last_hidden_state"] = hidden[rows.to(hidden.device), at].unsqueeze(1)
            return output

        body, is_own = self.model.base_model, type(self).logits is Encoder.logits
        if is_own and body is not self.model and not self.model.config.is_encoder_decoder:
            hook = body.register_forward_hook(keep)
            try:
                logits: Tensor = self.model(input_ids=ids.to(self.model.device))[0]
            finally:
                hook.remove()
            if logits.dim() == 3 and logits.shape[:2] == (len(ids), 1):
                return logits[:, 0]
        return self.logits(ids)[rows, positions]

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return sentence vectors (texts, width), on the CPU, as in the model's use.

        They are pooled, and what follows the pooling in the model's program is done to them.
        """
        inputs = self.inputs(self._with_prompt(texts))
        hidden = self.last_hidden(inputs)
        mask = inputs["attention_mask"].to(hidden.device)
        if self.prompt and not self._pools_prompt:
            mask = self._without_prompt(mask)
        return self._after_pooling(pool_text(hidden, mask, self.pooling).cpu())

    def _without_prompt(self, mask: Tensor) -> Tensor:
        """Return a mask (texts, positions) without the prompt's tokens, a start token's too."""
        ids: list[int] = self.tokenizer(self.prompt)["input_ids"]
        ends = {self.tokenizer.sep_token_id, self.tokenizer.eos_token_id}
        length = len(ids) - (bool(ids) and ids[-1] in ends)
        return mask * (mask.cumsum(dim=1) > length)

    def with_prompt(self, prompt: str) -> "Encoder":
        """Return the same encoder with another prompt."""
        other = copy.copy(self)
        other.prompt = prompt
        return other

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


# Texts of a batch.
_BATCH = 32


def scores_of_pairs(encoder: Encoder, pairs: Sequence[Pair], progress: Progress) -> Tensor:
    """Return a cross-encoder's scores (pairs, labels); pairs are batched by length."""
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
    scores = []
    for start in range(0, len(pairs), _BATCH):
        progress(start / len(pairs), f"{start} of {len(pairs)} pairs scored")
        scores.append(encoder.scores([pairs[i] for i in order[start : start + _BATCH]]))
    return torch.cat(scores)[torch.tensor(order).argsort()]


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
