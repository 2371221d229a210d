"""Say what the models of a job would take, before one is made: by the headers of the base's files.

The front end refuses and estimates by it, the worker plans the points of a target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.base_models.checks import TOKENIZER_CONFIG, kind_of
from app.base_models.files import is_there, read_any_json, read_json
from app.base_models.weights import StoredTensor, read_tensors, weight_files
from app.contract.architectures import ARCHITECTURES
from app.contract.errors import UserFault
from app.contract.model_kinds import ModelKind, decide_kind, join
from app.contract.names import (
    ANY,
    BASELINE,
    RUNTIMES,
    counted,
    in_runtime,
    runtimes_of_kind,
)
from app.contract.points import Point, SizedPoint, grid
from app.contract.recipe import TargetRecipe
from app.estimates import weights
from app.estimates.weights import Weights

TOKENIZER_BYTES = 200_000
"""Of the files beside static vectors."""
SCALE_BYTES = 4
BESIDE_COLUMN = 8
"""Bytes of a column's scale, its zero, and its bias, which stays in float32."""


@dataclass(frozen=True)
class SizeFacts:
    """A model that could be made, in numbers that follow from the headers of the weights."""

    vocab_size: int
    layers: int
    weights: Weights
    weighed: list[str] = field(default_factory=list)
    """The runtimes in which a target weighs it."""


@dataclass(frozen=True)
class HubModel:
    """The files of a model on the hub that were read there."""

    files: Mapping[str, Any]
    """The content of its JSON files, by path."""
    tensors: Sequence[StoredTensor]


def files_of(
    model: Path | HubModel,
) -> tuple[ModelKind, dict[str, Any], dict[str, Any], Sequence[StoredTensor]]:
    """Return what a model is, its config, that of its tokenizer and the headers of its weights."""
    if isinstance(model, HubModel):
        kind = decide_kind(model.files.get)
        config = model.files.get(join(kind.transformer, "config.json"))
        settings = model.files.get(join(kind.transformer, TOKENIZER_CONFIG))
        return kind, dict(config or {}), dict(settings or {}), model.tensors
    kind = kind_of(model)
    folder = model / kind.transformer
    file = folder / TOKENIZER_CONFIG
    settings = read_any_json(file) if is_there(file) else {}
    return kind, read_json(folder / "config.json"), settings, read_tensors(weight_files(folder))


def size_of(
    config: dict[str, Any], kept: Sequence[StoredTensor], size: int, keep_layers: int | None
) -> SizeFacts:
    """Return the facts of a model of so many tokens and layers, all of them without a number."""
    tensors = weights.with_vocabulary(config, kept, size)
    layers = weights.layer_count(config, kept)
    if keep_layers is not None:
        tensors, layers = weights.with_layers(tensors, keep_layers), min(layers, keep_layers)
    return SizeFacts(size, layers, weights.measure({**config, "vocab_size": size}, tensors))


@dataclass(frozen=True)
class Grid:
    """The points that a target chooses from, each with its facts, and the runtimes to weigh."""

    sizes: dict[Point, SizeFacts]
    runtimes: list[str]
    """Those that have a form of the base."""


def grid_of(
    kind: ModelKind, config: dict[str, Any], kept: Sequence[StoredTensor], tokens: int
) -> Grid:
    """Return the grid of a base of so many tokens."""
    # Of ALBERT's groups of shared layers none can be dropped.
    can_drop = config.get("num_hidden_groups", 1) == 1
    depth = weights.layer_count(config, kept) if can_drop else 0
    sizes = {
        point: size_of(config, kept, point.vocab_size, point.layers)
        for point in grid(depth, tokens)
    }
    runtimes = runtimes_of_kind(
        encoder_decoder=ARCHITECTURES[str(config["model_type"])].kind == "encoder-decoder",
        sentence_encoder=kind.role == "sentence_encoder",
    )
    return Grid(sizes, runtimes)


def read_grid(folder: Path, tokens: int) -> Grid:
    """Return the grid of the base in a folder; raises `UserFault` where it cannot be read."""
    kind, config, _, tensors = files_of(folder)
    return grid_of(kind, config, weights.kept_tensors(config, tensors), tokens)


def bytes_in(runtime: str, size: SizeFacts) -> int:
    """Return the bytes of a model's file for a runtime: exact in PyTorch, elsewhere near it."""
    found, row = size.weights, RUNTIMES[runtime]
    if runtime == BASELINE:
        return found.bytes
    if row.is_static:
        return TOKENIZER_BYTES + 4 * found.table_parameters
    numbers = found.parameters - found.unused_parameters
    graph = row.graph_bytes + row.layer_bytes * size.layers
    if not row.is_quantized:
        return graph + 4 * numbers
    width = max(1, found.table_parameters // max(1, size.vocab_size))
    table = found.table_parameters * row.bits / 8 + SCALE_BYTES * size.vocab_size
    rest = (numbers - found.table_parameters) * (row.bits / 8 + BESIDE_COLUMN / width)
    return graph + round(table + rest)


def fitting_points(base_model: str, found: Grid, target: TargetRecipe) -> list[SizedPoint]:
    """Return the points of a grid that fit in what is asked, each with its files that do.

    Raises `UserFault` where there is none.
    """
    weighed = target.weighed(found.runtimes)
    sized = [
        SizedPoint(**dict(point), files={name: bytes_in(name, size) for name in weighed})
        for point, size in found.sizes.items()
    ]
    if all(RUNTIMES[name].is_static for name in weighed):
        # Vectors have no layers, and nothing is gained by dropping those of their source.
        sized = [point for point in sized if point.layers is None]
    fits = [fit for point in sized if (fit := point.within(target.max_bytes)).files]
    if fits:
        return fits
    least = min(sized, key=lambda point: point.bytes)
    named = in_runtime(min(least.files, key=lambda name: least.files[name]))
    other = "base model" if target.runtime == ANY else "runtime or base model"
    raise UserFault(
        "target_out_of_reach",
        f"No model made of {base_model} fits in {counted(target.max_bytes or 0, 'byte')}"
        f"{'' if target.runtime == ANY else f' {named}'}: the smallest, of {least.label}"
        f"{f' {named}' if target.runtime == ANY else ''}, takes about {least.bytes:,}. Ask for "
        f"as many, or for another {other}.",
    )
