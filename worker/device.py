"""Where models run."""

import torch


def to_best_device(model: torch.nn.Module) -> None:
    """Move a model to the GPU where this machine has one."""
    model.to("cuda" if torch.cuda.is_available() else "cpu")
