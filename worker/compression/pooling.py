"""What the vector of a text is, in the model's use: which of its tokens' vectors, or their mean."""

import json
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

Pooling = Literal["mean", "cls", "lasttoken", "max", "weightedmean"]
"""As sentence-transformers names them."""

_CLASSIFY_BY_FIRST = {
    *("bert", "distilbert", "roberta", "xlm-roberta", "albert", "electra", "mpnet"),
    *("deberta", "deberta-v2", "modernbert"),
}


def pooling_of(folder: Path, model: PreTrainedModel) -> Pooling:
    """Tell from a sentence-transformers folder, or else from the head, what a text's vector is."""
    for file in sorted(folder.glob("*_Pooling/config.json")):
        return _pooling_asked(json.loads(file.read_text("utf-8")))
    if type(model).__name__.endswith("ForSequenceClassification"):
        return _pooling_of_classifier(model.config)
    return "mean"


def _pooling_asked(settings: dict[str, Any]) -> Pooling:
    """Read a pooling module; a mean divided by a root has the direction of the mean."""
    for name in get_args(Pooling):
        flags = (
            f"pooling_mode_{name}",
            f"pooling_mode_{name}_token",
            f"pooling_mode_{name}_tokens",
        )
        if settings.get("pooling_mode") == name or any(settings.get(flag) for flag in flags):
            found: Pooling = name
            return found
    return "mean"


def _pooling_of_classifier(config: PreTrainedConfig) -> Pooling:
    if config.model_type in _CLASSIFY_BY_FIRST:
        pooling: Pooling = getattr(config, "classifier_pooling", "cls")  # ModernBERT has both
        return pooling
    return "mean" if config.is_encoder_decoder else "lasttoken"


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
