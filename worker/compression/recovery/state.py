"""How far a recovery is: everything that a later attempt needs to end as this one would."""

import copy
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worker.compression.recovery.outcome import LossPoint

Weights = dict[str, Tensor]


@dataclass
class Best:
    """The weights to keep: those of the least held-out loss, or the last good ones."""

    step: int
    loss: float
    weights: Weights


@dataclass
class State:
    """Steps done, seconds they took, student tokens they read, and the losses on the way."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    train_sum: float = 0.0
    train_steps: int = 0
    curve: list[LossPoint] = field(default_factory=list)


def weights_of(model: nn.Module) -> Weights:
    """Return a copy of a model's parameters, in memory of the CPU, each once."""
    return {name: p.detach().to("cpu", copy=True) for name, p in model.named_parameters()}


def put_weights(model: nn.Module, weights: Weights) -> None:
    """Give a model the parameters that ``weights_of`` returned."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def save_state(  # noqa: PLR0913, PLR0917
    file: Path, run: str, state: State, best: Best, model: nn.Module, optimizer: Any
) -> None:
    """Write all of a recovery into a file, which appears whole; ``run`` says what it belongs to."""
    content = {
        "run": run,
        "state": asdict(state),
        "best": asdict(best) if best.step != state.step else None,
        "weights": weights_of(model),
        "optimizer": optimizer.state_dict(),
    }
    partial = file.with_name(file.name + ".partial")
    with partial.open("wb") as sink:
        torch.save(content, sink)
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(file)


def load_state(file: Path, run: str, model: nn.Module, optimizer: Any) -> tuple[State, Best] | None:
    """Read a state of the same run into model and optimizer; None where there is none."""
    if not file.is_file():
        return None
    content = torch.load(file, map_location="cpu", weights_only=True)
    if content["run"] != run:
        return None
    put_weights(model, content["weights"])
    optimizer.load_state_dict(content["optimizer"])
    found = content["state"]
    state = State(**{**found, "curve": [LossPoint(**point) for point in found["curve"]]})
    kept = content["best"] or {"step": state.step, "loss": _last_loss(state), "weights": None}
    weights = kept["weights"] or copy.deepcopy(content["weights"])
    return state, Best(kept["step"], kept["loss"], weights)


def _last_loss(state: State) -> float:
    losses = [point.held_out for point in state.curve if point.held_out is not None]
    return losses[-1] if losses else float("inf")
