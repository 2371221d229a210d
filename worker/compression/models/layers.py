"""Dropping layers evenly: a model of the same kind with fewer of its layers."""

import copy
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from app.contract.architectures import ARCHITECTURES
from worker.compression.errors import TooManyLayersError, UnsupportedModelError

Kept = dict[str, list[int]]
"""Of each stack, by the name of its module list: the numbers of the layers that stay."""


def layer_count(model: PreTrainedModel) -> int:
    """Return the layers of a model; of an encoder-decoder, those of its deeper half."""
    counts = [len(stack) for _, stack in _stacks(model)]
    return max(counts, default=int(model.config.num_hidden_layers))


def evenly(total: int, keep: int) -> list[int]:
    """Return the numbers of ``keep`` of ``total`` layers, evenly from the first to the last."""
    if keep == 1:
        return [0]
    return [round(i * (total - 1) / (keep - 1)) for i in range(keep)]


def drop_layers(model: PreTrainedModel, keep: int) -> PreTrainedModel:
    """Return a model with ``keep`` layers of each stack, evenly from the first to the last.

    A stack of an encoder-decoder that has no more stays whole. Everything else of the model is
    copied. ALBERT, whose layers share their weights, runs them fewer times.

    Raises:
        TooManyLayersError: the model has fewer layers, or ``keep`` is not positive.
        UnsupportedModelError: the model keeps its layers in a way that is not understood.

    """
    total = layer_count(model)
    if not 1 <= keep <= total:
        raise TooManyLayersError(
            f"recovery.keep_layers is {keep}, and the base has {total} layers: give 1 to {total}."
        )
    stacks = dict(_stacks(model))
    kept = {name: evenly(len(stack), min(keep, len(stack))) for name, stack in stacks.items()}
    config = _cut_config(model.config, keep, evenly(total, keep))
    with torch.random.fork_rng(devices=[]):
        smaller: PreTrainedModel = type(model)(config)
    smaller.to(model.dtype)  # type: ignore[arg-type]
    _load(smaller, _renumbered(model.state_dict(), kept), model)
    if settings := getattr(model, "generation_config", None):
        smaller.generation_config = copy.deepcopy(settings)
    smaller.train(mode=False)
    return smaller


def _stacks(model: PreTrainedModel) -> Iterator[tuple[str, nn.ModuleList]]:
    """Yield the lists of alike modules that are in no other list."""
    names = list[str]()
    for name, module in model.named_modules():
        is_list = isinstance(module, nn.ModuleList) and len({type(m) for m in module}) == 1
        if is_list and not any(name.startswith(f"{outer}.") for outer in names):
            names.append(name)
            if "albert_layer" not in name:
                yield name, module


def _cut_config(config: PreTrainedConfig, keep: int, kept: list[int]) -> PreTrainedConfig:
    cut, known = copy.deepcopy(config), config.to_dict()
    row = ARCHITECTURES.get(config.model_type)
    counts = (*row.layer_counts, *row.decoder_layer_counts) if row else ()
    names = [name for name in counts if hasattr(cut, name)]
    if not names or known.get("num_hidden_groups", 1) != 1:
        raise UnsupportedModelError(
            f"The layers of {config.model_type} models cannot be dropped: leave out "
            "recovery.keep_layers."
        )
    total = max(int(getattr(cut, name)) for name in names)
    for name, value in known.items():
        if isinstance(value, list) and "layer" in name and len(value) == total:
            setattr(cut, name, [value[i] for i in kept])
    for name in names:
        setattr(cut, name, min(keep, int(getattr(cut, name))))
    return cut


def _renumbered(weights: dict[str, Tensor], kept: Kept) -> dict[str, Tensor]:
    """Return the weights that stay under their new names."""
    found = {}
    for name, tensor in weights.items():
        stack = next((s for s in kept if re.match(rf"{re.escape(s)}\.\d+\.", name)), None)
        if stack is None:
            found[name] = tensor
            continue
        number, rest = name.removeprefix(f"{stack}.").split(".", 1)
        if int(number) in kept[stack]:
            found[f"{stack}.{kept[stack].index(int(number))}.{rest}"] = tensor
    return found


def _load(smaller: PreTrainedModel, weights: dict[str, Tensor], model: PreTrainedModel) -> None:
    try:
        smaller.load_state_dict(weights)
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"The layers of {type(model).__name__} cannot be dropped: leave out "
            f"recovery.keep_layers. {error}"
        ) from error
