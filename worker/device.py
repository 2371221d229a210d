"""Where models run, as ``FVT_DEVICE`` says."""

import torch

from app.settings import Settings


def to_device(model: torch.nn.Module, settings: Settings) -> None:
    """Move a model to the GPU where this machine has one that may be used."""
    best = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(best if settings.device == "auto" else settings.device)
