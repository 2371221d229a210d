"""Read what a model is from its folder: the decision is `app.contract.model_kinds`' own."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from app.contract.errors import UserFault
from app.contract.model_kinds import CONFIG, ModelKind, decide_kind
from worker.compression.errors import UnsupportedModelError


def read_json(folder: Path, path: str) -> Any:
    """Return the content of a JSON file of the folder; None where there is none.

    Raises:
        UnsupportedModelError: it cannot be read.

    """
    file = folder / path
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModelError(f"{path} of the model cannot be read: {error}.") from error


def kind_of_folder(folder: Path, model: PreTrainedModel | None = None) -> ModelKind:
    """Say what the model of a folder is; ``model`` counts for its config where it is given.

    Raises:
        UnsupportedModelError: models of this kind cannot be compressed.

    """

    def read(path: str) -> Any:
        if model is not None and path.rpartition("/")[2] == CONFIG:
            return {**model.config.to_dict(), "architectures": [type(model).__name__]}
        return read_json(folder, path)

    try:
        return decide_kind(read)
    except UserFault as fault:
        raise UnsupportedModelError(fault.message) from fault


def weights_folder(folder: Path) -> Path:
    """Return the folder where config, tokenizer and weights lie: mostly the model's own."""
    return folder / kind_of_folder(folder).transformer
