"""What the vector of a text is, in the model's use: the mean of its tokens' or the first one's."""

import json
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

Pooling = Literal["mean", "cls"]

_CLASSIFY_BY_FIRST = {
    *("bert", "distilbert", "roberta", "xlm-roberta", "albert", "electra", "mpnet"),
    *("deberta", "deberta-v2", "modernbert"),
}


def pooling_of(folder: Path, model: PreTrainedModel) -> Pooling:
    """Tell from a sentence-transformers folder, or else from the head, what a text's vector is."""
    for file in sorted(folder.glob("*_Pooling/config.json")):
        settings = json.loads(file.read_text("utf-8"))
        by_first = settings.get("pooling_mode_cls_token") or settings.get("pooling_mode") == "cls"
        return "cls" if by_first else "mean"
    if type(model).__name__.endswith("ForSequenceClassification"):
        return _pooling_of_classifier(model.config)
    return "mean"


def _pooling_of_classifier(config: PreTrainedConfig) -> Pooling:
    if config.model_type not in _CLASSIFY_BY_FIRST:
        return "mean"
    pooling: Pooling = getattr(config, "classifier_pooling", "cls")  # ModernBERT has both
    return pooling


def pool_text(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Return one vector a text (texts, width) of hidden states (texts, positions, width).

    ``mask`` (texts, positions) is 1 where there is a token, and may have padding on either side.
    """
    if pooling == "cls":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.argmax(dim=1)]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
