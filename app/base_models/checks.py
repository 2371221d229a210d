"""Whether a model may and can be compressed, told from its configs before anything else is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.base_models.weights import (
    check_weight_names,
    count_parameters,
    invalid_model,
    read_json,
    weight_files,
)
from app.failures import UserFault

MODEL_TYPES = ("bert", "distilbert", "electra", "mpnet")
CONFIGS = ("config.json", "tokenizer_config.json")
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class ModelFacts:
    """What a model's files say of it."""

    model_type: str
    vocab_size: int
    parameters: int
    bytes: int


def examine(folder: Path) -> ModelFacts:
    """Check a whole model folder; raises `UserFault` where it cannot be compressed."""
    model_type = check_configs(folder)
    names = {path.name for path in folder.iterdir() if path.is_file()}
    check_files(names)
    vocab_size = _wordpiece_vocab_size(read_json(folder / TOKENIZER))
    files = weight_files(folder)
    size = sum(file.stat().st_size for file in files)
    return ModelFacts(model_type, vocab_size, count_parameters(files), size)


def check_configs(folder: Path) -> str:
    """Refuse what the configs rule out; returns the model type. Needs no other file."""
    configs = {name: read_json(folder / name) for name in CONFIGS if (folder / name).exists()}
    if "config.json" not in configs:
        raise invalid_model("it has no config.json")
    for name, config in configs.items():
        if _names_code(config):
            raise UserFault(
                "remote_code_refused",
                f"The model's {name} asks to run code of its own (`auto_map`), which is never "
                "done. Choose a model of a standard architecture.",
            )
    model_type = configs["config.json"].get("model_type")
    if model_type not in MODEL_TYPES:
        raise UserFault(
            "unsupported_model",
            f"The model type {str(model_type)[:80]!r} cannot be compressed in this version, only "
            f"encoders with a WordPiece vocabulary: {', '.join(MODEL_TYPES)}.",
        )
    return str(model_type)


def check_files(names: set[str]) -> None:
    """Refuse a model without safe weights or a fast tokenizer, by the names of its files."""
    check_weight_names(names)
    if TOKENIZER not in names:
        raise UserFault(
            "no_fast_tokenizer",
            f"The model has no {TOKENIZER}. Load its tokenizer with `AutoTokenizer` and call "
            "`save_pretrained` to make one.",
        )


def _names_code(config: Any) -> bool:
    """Whether `auto_map` stands anywhere in a config, nested ones too."""
    if isinstance(config, list):
        return any(map(_names_code, config))
    if not isinstance(config, dict):
        return False
    return "auto_map" in config or any(map(_names_code, config.values()))


def _wordpiece_vocab_size(tokenizer: dict[str, Any]) -> int:
    try:
        kind, vocabulary = tokenizer["model"]["type"], tokenizer["model"]["vocab"]
        added = {token["content"] for token in tokenizer.get("added_tokens", [])}
    except (KeyError, TypeError) as error:
        raise invalid_model(f"{TOKENIZER} cannot be read") from error
    if kind != "WordPiece":
        raise UserFault(
            "unsupported_model",
            f"The model's vocabulary is of the kind {str(kind)[:80]}; this version compresses "
            "WordPiece vocabularies only.",
        )
    return len(added | vocabulary.keys())
