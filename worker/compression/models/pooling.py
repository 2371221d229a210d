"""Pool the vector of a text from its tokens' hidden states, and do what a model does after it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize
from transformers import PreTrainedConfig, PreTrainedModel

from app.contract.architectures import ARCHITECTURES
from app.contract.model_kinds import ModelKind, Module
from worker.compression.errors import UnsupportedModelError
from worker.compression.models.folders import read_json

Pooling = str
"""One of ``POOLINGS``, or several joined by ``+``, whose vectors are put side by side."""
# As sentence-transformers names and orders them.
POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def pooling_of(folder: Path, model: PreTrainedModel, kind: ModelKind | None = None) -> Pooling:
    """Read the pooling of a sentence-transformers folder, or else of the model's head."""
    paths = [m.path for m in kind.modules if m.name == "Pooling"] if kind else []
    for path in paths or sorted(file.parent.name for file in folder.glob("*_Pooling/config.json")):
        return _read_pooling(read_json(folder, f"{path}/config.json") or {})
    if type(model).__name__.endswith("ForSequenceClassification"):
        return _pooling_of_classifier(model.config)
    return "mean"


def pools_prompt(folder: Path, kind: ModelKind) -> bool:
    """Tell whether the tokens of a prompt count in the vector of a text."""
    paths = (m.path for m in kind.modules if m.name == "Pooling")
    settings = ((read_json(folder, f"{path}/config.json") or {}) for path in paths)
    return all(pooling.get("include_prompt", True) for pooling in settings)


def _read_pooling(settings: Mapping[str, Any]) -> Pooling:
    mode = settings.get("pooling_mode")
    if mode is not None:
        modes = [mode] if isinstance(mode, str) else list(mode)
    else:
        flags = ("pooling_mode_{}", "pooling_mode_{}_token", "pooling_mode_{}_tokens")
        modes = [n for n in POOLINGS if any(settings.get(flag.format(n)) for flag in flags)]
    if unknown := [mode for mode in modes if mode not in POOLINGS]:
        raise UnsupportedModelError(
            f"The pooling {str(unknown[0])[:80]!r} is unknown: use one of {', '.join(POOLINGS)}."
        )
    return "+".join(modes) or "mean"


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
    Several poolings give as many times the width.
    """
    if "+" in pooling:
        return torch.cat([pool_text(hidden, mask, one) for one in pooling.split("+")], dim=-1)
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
    total = weights.sum(dim=1).clamp(min=1)
    total = total.sqrt() if pooling == "mean_sqrt_len_tokens" else total
    return (hidden * weights).sum(dim=1) / total


Step = Callable[[Tensor], Tensor]


class AfterPooling:
    """Compute what sentence-transformers' modules after the pooling make of vectors.

    They are as the base has them, and are not trained. A division by the length at the end is left
    out: vectors are compared by their directions.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return vectors (texts, width) as the model's program has them."""
        for step in self._steps:
            vectors = step(vectors)
        return vectors


def after_pooling(folder: Path, kind: ModelKind) -> AfterPooling:
    """Read the modules that follow the pooling in a folder.

    Raises:
        UnsupportedModelError: one cannot be read.

    """
    modules = [module for module in kind.modules if module.name not in {"Pooling", "Dropout"}]
    while modules and modules[-1].name == "Normalize":
        modules.pop()
    return AfterPooling([step for module in modules for step in _steps(folder, module)])


def _steps(folder: Path, module: Module) -> Iterator[Step]:
    settings = read_json(folder, f"{module.path}/config.json") or {}
    for key in ("module_input_name", "module_output_name"):
        if (settings.get(key) or "sentence_embedding") != "sentence_embedding":
            raise UnsupportedModelError(
                f"{module.path} reads or writes {settings[key]!r}, and only modules that change "
                "the sentence_embedding are read: use another model."
            )
    if module.name == "Dense":
        yield _dense(settings, _weights(folder, module), module.path)
    elif module.name == "LayerNorm":
        weights = _weights(folder, module)
        yield _layer_norm(weights["norm.weight"], weights["norm.bias"])
    elif module.name == "Normalize":
        yield lambda vectors: normalize(vectors, dim=-1)


def _dense(settings: Mapping[str, Any], weights: Mapping[str, Tensor], path: str) -> Step:
    activation, is_residual = _activation(settings, path), bool(settings.get("use_residual"))
    matrix, bias = weights["linear.weight"], weights.get("linear.bias")
    residual = weights.get("residual.weight")

    def step(vectors: Tensor) -> Tensor:
        # (texts, in) to (texts, out)
        mapped = linear(vectors, matrix.to(vectors), None if bias is None else bias.to(vectors))
        made: Tensor = activation(mapped)
        if is_residual:
            made += vectors if residual is None else linear(vectors, residual.to(vectors))
        return made

    return step


def _activation(settings: Mapping[str, Any], path: str) -> nn.Module:
    """Return an activation of torch by the path of its class; no other code is run."""
    name = str(settings.get("activation_function", "torch.nn.modules.activation.Tanh"))
    found = getattr(nn, name.rpartition(".")[2], None)
    if not name.startswith("torch.nn.") or not isinstance(found, type):
        raise UnsupportedModelError(
            f"{path} has the activation function {name[:80]}, which is none of torch.nn: use "
            "another model."
        )
    module: nn.Module = found()
    return module


def _layer_norm(weight: Tensor, bias: Tensor) -> Step:
    return lambda vectors: nn.functional.layer_norm(
        vectors, weight.shape, weight.to(vectors), bias.to(vectors)
    )


_NEEDED = {"Dense": ("linear.weight",), "LayerNorm": ("norm.weight", "norm.bias")}


def _weights(folder: Path, module: Module) -> dict[str, Tensor]:
    file = folder / module.path / "model.safetensors"
    if not file.is_file():
        raise UnsupportedModelError(
            f"{module.path} of the base model has no model.safetensors: save the model again with "
            "`save_pretrained`."
        )
    try:
        weights = safetensors.torch.load_file(file)
    except safetensors.SafetensorError as error:
        raise UnsupportedModelError(f"{module.path} cannot be read: {error}") from error
    if missing := [name for name in _NEEDED[module.name] if name not in weights]:
        raise UnsupportedModelError(f"{module.path} has no {missing[0]}: save the model again.")
    return weights
