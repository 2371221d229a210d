"""AdamW over a model, which may train its vocabulary alone for a while."""

from typing import Any

import torch
from transformers import PreTrainedModel

from worker.compression.transfer.vocabulary import vocabulary_tensors

_WEIGHT_DECAY = 0.01


def make_optimizer(model: PreTrainedModel, rate: float) -> torch.optim.AdamW:
    """Return AdamW; neither vectors, such as biases and norms, nor embeddings decay."""
    found, parameters = vocabulary_ids(model), list(model.parameters())
    matrices = [p for p in parameters if p.dim() > 1 and id(p) not in found]
    rest = [p for p in parameters if p.dim() <= 1 or id(p) in found]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": _WEIGHT_DECAY},
        {"params": rest},
    ]
    fused = parameters[0].device.type == "cuda"
    return torch.optim.AdamW(groups, lr=rate, weight_decay=0.0, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def vocabulary_ids(model: PreTrainedModel) -> set[int]:
    """Return the identities of the tensors with one entry a token."""
    found = vocabulary_tensors(model)
    return {id(t) for t in (*found.input_tables, *found.output_tables, *found.biases)}
