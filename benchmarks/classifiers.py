"""Classifiers for timing: untrained heads on a base, and on what transfer makes of it."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from transformers import BertConfig, BertModel, BertTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from benchmarks.labelled_tasks import Task
from worker.compression import (
    LoadedModel,
    load_model,
    required_tokens,
    resolve_vocab_size,
    save_model,
    train_tokenizers,
    transfer_vocabulary,
)
from worker.compression.models.layers import drop_layers, layer_count

MAX_LENGTH = 128
"""Tokens where texts are cut, as in fine-tuning."""


@dataclass(frozen=True)
class Classifier:
    """A model with a head, in float32 on its device, and its tokenizer."""

    name: str
    model: Any
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts, not padded, of one call of the tokenizer."""
        found = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=MAX_LENGTH,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        ids: list[list[int]] = found["input_ids"]
        return ids

    def padded(self, rows: Sequence[Sequence[int]], multiple: int = 1) -> Tensor:
        """Return ids and mask (2, rows, longest) on the CPU; a GPU copies them without waiting.

        The length is a multiple of ``multiple``.
        """
        longest = -(-max(map(len, rows)) // multiple) * multiple
        both = np.zeros((2, len(rows), longest), dtype=np.int64)
        both[0] = self.tokenizer.pad_token_id or 0
        for place, row in enumerate(rows):
            both[0, place, : len(row)] = row
            both[1, place, : len(row)] = 1
        tensor = torch.from_numpy(both)
        return tensor.pin_memory() if self.on_gpu else tensor

    def batch(self, texts: Sequence[str]) -> Tensor:
        """Return ids and mask (2, texts, longest) as the tokenizer's own call pads them."""
        found = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=MAX_LENGTH,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        return torch.stack([found["input_ids"], found["attention_mask"]])

    def labels(self, inputs: Tensor) -> Tensor:
        """Return the label of each text (texts) or token (texts, longest), on the device."""
        found: Tensor = self.model(input_ids=inputs[0], attention_mask=inputs[1]).logits.argmax(-1)
        return found

    def synchronize(self) -> None:
        """Wait for the GPU, if it is on one."""
        if self.on_gpu:
            torch.cuda.synchronize()


def random_bert(tokenizer: Path, folder: Path) -> LoadedModel:
    """Return BERT-base's shape with random weights, and a tokenizer of a folder's ``vocab.txt``."""
    tokens = (tokenizer / "vocab.txt").read_text("utf-8").splitlines()
    is_cased = any(token != token.lower() for token in tokens if not token.startswith("["))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    found = BertTokenizer(vocab=vocabulary, do_lower_case=not is_cased, model_max_length=512)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(found), pad_token_id=found.pad_token_id)
    save_model(folder, BertModel(config), found)
    return load_model(folder)


def untrained(  # noqa: PLR0913
    base: LoadedModel,
    task: Task,
    sizes: Sequence[float],
    layers: Sequence[int],
    device: str,
    *,
    multiword: int = 0,
) -> Iterator[Classifier]:
    """Yield the base, then each size with each number of layers; 0 keeps all.

    ``multiword`` of a size's tokens are groups of words.
    """
    Module.to(base.model, device)
    yield Classifier(_name("base", base), task.with_head(base), base.tokenizer)
    Module.to(base.model, "cpu")
    keep = required_tokens(base.model, base.tokenizer)
    counts = [resolve_vocab_size(size, base.tokenizer) for size in sizes]
    tokenizers = (
        train_tokenizers(base.tokenizer, task.texts, counts, keep_tokens=keep, multiword=multiword)
        if counts
        else []
    )
    for size, tokenizer in zip(sizes, tokenizers, strict=True):
        model = transfer_vocabulary(base.model, base.tokenizer, tokenizer).model
        for count in layers:
            fewer = drop_layers(model, count) if count else model
            with tempfile.TemporaryDirectory() as folder:
                save_model(Path(folder), fewer, tokenizer, base.folder)
                made = load_model(Path(folder))
                Module.to(made.model, device)
                head = task.with_head(made)
            yield Classifier(_name(str(size), made), head, tokenizer)


def _name(size: str, loaded: LoadedModel) -> str:
    return f"{size}, {layer_count(loaded.model)} layers"
