"""Where models run, as ``FVT_DEVICE`` says."""

import torch

from app.settings import Settings


def device_of(settings: Settings) -> str:
    """The GPU where this machine has one that may be used, else the CPU."""
    best = "cuda" if torch.cuda.is_available() else "cpu"
    return best if settings.device == "auto" else settings.device


def to_device(model: torch.nn.Module, settings: Settings) -> None:
    """Move a model to where models run."""
    model.to(device_of(settings))
