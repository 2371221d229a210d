"""Folders of models for cases: the sound one, with something of it changed."""

import re
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hostile.case import Answer, Case, Wanted
from tests.support.model_folders import write_json
from tests.support.sound_model import (
    CONFIG,
    TOKENIZER_CONFIG,
    make_sound,
    tokenizer,
    write_tensors,
)

if TYPE_CHECKING:
    from tests.hostile.world import World

NUMBERS = count()
Change = Callable[[Path], object]


def model_of(
    world: "World",
    name: str,
    change: Change | None = None,
    *,
    config: Mapping[str, Any] = CONFIG,
    tensors: Mapping[str, list[int]] | None = None,
) -> str:
    """Write a folder into the service's models, changed last; returns its id."""
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")[:60]
    base_model = f"hostile/{slug}-{next(NUMBERS)}"
    folder = make_sound(world.models / base_model)
    write_json(folder / "config.json", config)
    if tensors is not None:
        write_tensors(folder / "model.safetensors", tensors)
    if change:
        change(folder)
    return base_model


def model(name: str, change: Change, wanted: Wanted, **recipe: Any) -> Case:
    """Submit a job for a model whose folder is changed."""

    def send(world: "World") -> Answer:
        body = {"corpus_id": world.corpus, "base_model": model_of(world, name, change)}
        return Answer.of(world.http.post("/v1/jobs", json={**body, "recipe": recipe}))

    return Case(name, send, wanted)


def config(**values: Any) -> Change:
    """Set values of config.json."""
    return lambda folder: write_json(folder / "config.json", {**CONFIG, **values})


def tokenizer_settings(**values: Any) -> Change:
    """Set values of tokenizer_config.json."""
    content = {**TOKENIZER_CONFIG, **values}
    return lambda folder: write_json(folder / "tokenizer_config.json", content)


def tokenizer_of(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the content of tokenizer.json in place."""

    def changed(folder: Path) -> None:
        content = tokenizer()
        change(content)
        write_json(folder / "tokenizer.json", content)

    return changed


def file_of(name: str, change: Change) -> Change:
    """Change a file of the folder."""
    return lambda folder: change(folder / name)
