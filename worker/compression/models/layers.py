"""Drop layers evenly: make a model of the same kind with fewer of its layers."""

import copy
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from app.contract.architectures import ARCHITECTURES, evenly_spaced
from worker.compression.errors import TooManyLayersError, UnsupportedModelError


def layer_count(model: PreTrainedModel) -> int:
    """Return the layers of a model; of an encoder-decoder, those of its deeper half."""
    counts = [len(stack) for _, stack in _stacks(model)]
    return max(counts, default=int(model.config.num_hidden_layers))


def drop_layers(model: PreTrainedModel, keep: int) -> PreTrainedModel:
    """Return a model with ``keep`` layers of each stack, evenly from the first to the last.

    A stack of an encoder-decoder that has no more stays whole. Everything else of the model is
    copied. ALBERT, whose layers share their weights, runs them fewer times.

    Raises:
        TooManyLayersError: the model has fewer layers, or ``keep`` is not positive.
        UnsupportedModelError: the model keeps its layers in an unknown way.

    """
    total = layer_count(model)
    if not 1 <= keep <= total:
        raise TooManyLayersError(
            f"recovery.keep_layers is {keep}, and the base has {total} layers: give 1 to {total}."
        )
    stacks = dict(_stacks(model))
    kept = {
        name: evenly_spaced(len(stack), min(keep, len(stack))) for name, stack in stacks.items()
    }
    config = _shrink_config(model.config, keep, evenly_spaced(total, keep))
    with torch.random.fork_rng(devices=[]):
        smaller: PreTrainedModel = type(model)(config)
    smaller.to(model.dtype)  # type: ignore[arg-type]
    try:
        smaller.load_state_dict(_kept_weights(model.state_dict(), kept))
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"The layers of {type(model).__name__} cannot be dropped: leave out "
            f"recovery.keep_layers. {error}"
        ) from error
    if settings := getattr(model, "generation_config", None):
        smaller.generation_config = copy.deepcopy(settings)
    smaller.train(mode=False)
    return smaller


def _stacks(model: PreTrainedModel) -> Iterator[tuple[str, nn.ModuleList]]:
    """Yield the model's stacks of layers: lists of modules of one type, in no other list.

    ALBERT's list of shared layers is none: it has one entry, however many layers are run.
    """
    names = list[str]()
    for name, module in model.named_modules():
        is_list = isinstance(module, nn.ModuleList) and len({type(m) for m in module}) == 1
        if is_list and not any(name.startswith(f"{outer}.") for outer in names):
            names.append(name)
            if "albert_layer" not in name:
                yield name, module


def _shrink_config(config: PreTrainedConfig, keep: int, kept: list[int]) -> PreTrainedConfig:
    """Return a config of ``keep`` layers; lists with an entry a layer keep those of ``kept``."""
    shrunk, settings = copy.deepcopy(config), config.to_dict()
    row = ARCHITECTURES.get(config.model_type)
    counts = (*row.layer_counts, *row.decoder_layer_counts) if row else ()
    names = [name for name in counts if hasattr(shrunk, name)]
    if not names or settings.get("num_hidden_groups", 1) != 1:
        raise UnsupportedModelError(
            f"The layers of {config.model_type} models cannot be dropped: leave out "
            "recovery.keep_layers."
        )
    total = max(int(getattr(shrunk, name)) for name in names)
    for name, value in settings.items():
        if isinstance(value, list) and "layer" in name and len(value) == total:
            setattr(shrunk, name, [value[i] for i in kept])
    for name in names:
        setattr(shrunk, name, min(keep, int(getattr(shrunk, name))))
    return shrunk


def _kept_weights(weights: dict[str, Tensor], kept: dict[str, list[int]]) -> dict[str, Tensor]:
    """Return the weights that stay, those of kept layers under the layers' new numbers.

    ``kept`` has the old numbers of the layers that stay, by the name of their module list.
    """
    renamed = {}
    for name, tensor in weights.items():
        stack = next((s for s in kept if re.match(rf"{re.escape(s)}\.\d+\.", name)), None)
        if stack is None:
            renamed[name] = tensor
            continue
        number, rest = name.removeprefix(f"{stack}.").split(".", 1)
        if int(number) in kept[stack]:
            renamed[f"{stack}.{kept[stack].index(int(number))}.{rest}"] = tensor
    return renamed
