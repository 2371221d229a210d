"""Whether a model may and can be compressed, told from its configs before anything else is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.base_models.vocabulary import check_table, vocabulary_of
from app.base_models.weights import (
    check_weight_names,
    count_parameters,
    invalid_model,
    read_json,
    read_tensors,
    weight_files,
)
from app.failures import UserFault

TOKENIZER_TYPES = ("WordPiece", "BPE", "Unigram")
ENCODER_DECODERS = ("t5", "mt5", "bart", "mbart")
MODEL_TYPES = (
    *("bert", "distilbert", "roberta", "xlm-roberta", "albert", "electra", "mpnet"),
    *("deberta", "deberta-v2", "modernbert"),
    *("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"),
    *("gemma3_text", "phi3"),
    *ENCODER_DECODERS,
)
SUPPORTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MODEL_TYPES, TOKENIZER_TYPES),
    # transformers reads whatever tokenizer is saved with a Qwen2 as a byte-level BPE.
    "qwen2": ("BPE",),
}
"""Model types with the types of tokenizer they are tested with (tests/compression/test_matrix)."""
CONFIGS = ("config.json", "tokenizer_config.json")
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class ModelFacts:
    """What a model's files say of it."""

    model_type: str
    vocab_size: int
    parameters: int
    bytes: int
    encoder_decoder: bool


def examine(folder: Path, max_bytes: int) -> ModelFacts:
    """Check a whole model folder; raises `UserFault` where it cannot be compressed."""
    model_type = check_configs(folder)
    names = {path.name for path in folder.iterdir() if path.is_file()}
    check_files(names)
    kind, tokens = vocabulary_of(read_json(folder / TOKENIZER))
    _check_kind(model_type, kind)
    files = weight_files(folder)
    tensors = read_tensors(files)
    check_size(sum(tensor.bytes for tensor in tensors), max_bytes)
    config = read_json(folder / "config.json")
    check_table(config, tokens, tensors)
    size = sum(file.stat().st_size for file in files)
    both = model_type in ENCODER_DECODERS and config.get("is_encoder_decoder") is not False
    return ModelFacts(model_type, tokens, count_parameters(tensors), size, both)


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a model that a worker of this installation has no memory for."""
    if size > max_bytes:
        raise UserFault(
            "model_too_large",
            f"The model's weights take {size:,} bytes, and this installation compresses models of "
            f"up to {max_bytes:,} (FVT_MAX_MODEL_BYTES). Choose a smaller model, or have it "
            "raised.",
        )


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
    if not isinstance(model_type, str) or model_type not in SUPPORTED:
        raise UserFault(
            "unsupported_model",
            f"The model type {str(model_type)[:80]!r} cannot be compressed in this version, only "
            f"{', '.join(SUPPORTED)}: of others it is not known where they keep their vocabulary.",
        )
    return model_type


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


def _check_kind(model_type: str, kind: str) -> None:
    if kind not in SUPPORTED[model_type]:
        raise UserFault(
            "unsupported_model",
            f"The tokenizer of this {model_type} model is of the kind {kind[:80]}; with this model "
            f"type only {', '.join(SUPPORTED[model_type])} can be compressed.",
        )
