"""The base as a teacher."""

import copy

import torch
from transformers import PreTrainedModel


def as_teacher(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """Return a float32 model on a device, in evaluation mode; a copy unless it is one already."""
    if model.device.type == device.type and model.dtype == torch.float32 and not model.training:
        return model
    copied: PreTrainedModel = copy.deepcopy(model)
    torch.nn.Module.to(copied, device, torch.float32)
    copied.train(mode=False)
    return copied
