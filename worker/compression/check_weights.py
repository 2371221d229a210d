"""Whether the weights of a model are whole, and those that its config speaks of."""

import re
from collections.abc import Iterable

import torch
from transformers import PreTrainedModel

from worker.compression.errors import NonFiniteWeightsError, UnsupportedModelError

_MAY_BE_DRAWN = re.compile(r"(^|\.)pooler\.")
_NUMBERED = re.compile(r"^(.*\.\d+)\.")


def check_loaded(
    model: PreTrainedModel, missing_keys: Iterable[str], unexpected_keys: Iterable[str]
) -> None:
    """Refuse a checkpoint without weights the config asks for, or with layers it does not know.

    A pooler that is missing is drawn at random, as transformers does, and heads that the model's
    class does not have are left behind.

    Raises:
        UnsupportedModelError: so it is; the message names the first such tensor.

    """
    missing = sorted(key for key in missing_keys if not _MAY_BE_DRAWN.search(key))
    if missing:
        raise UnsupportedModelError(
            f"The checkpoint has no {missing[0]}, which its config asks for ({len(missing)} such "
            "tensors): use a whole checkpoint with its own config."
        )
    modules = {name for name, _ in model.named_modules()}
    for key in sorted(unexpected_keys):
        layer = _NUMBERED.match(key)
        stack = layer[1].rpartition(".")[0] if layer else ""
        if layer and stack in modules and layer[1] not in modules:
            raise UnsupportedModelError(
                f"The checkpoint has {key}, a layer that its config does not know of: use the "
                "config that was saved with it."
            )


def check_ties(model: PreTrainedModel) -> None:
    """Refuse weights that the config says are shared and that are not.

    Raises:
        UnsupportedModelError: so it is; the message names both.

    """
    tied = model.get_expanded_tied_weights_keys(all_submodels=True)
    for one, other in tied.items():
        if model.get_parameter_or_buffer(one) is not model.get_parameter_or_buffer(other):
            raise UnsupportedModelError(
                f"The config ties {one} to {other}, and the checkpoint has different values for "
                "them: set tie_word_embeddings to what the model was trained with."
            )


def check_values(model: PreTrainedModel) -> None:
    """Refuse weights that are not finite numbers.

    Raises:
        NonFiniteWeightsError: so it is; the message names the first such tensor.

    """
    for name, tensor in model.named_parameters():
        # The extremes are NaN or infinite where any value is, and take no copy of the tensor.
        if tensor.numel() and not torch.isfinite(torch.stack(tensor.aminmax())).all():
            raise NonFiniteWeightsError(
                f"{name} holds NaN or infinite values: use a sound checkpoint."
            )
