"""Whether a model may and can be compressed, told from its configs before anything else is read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.base_models.weights import (
    StoredTensor,
    check_weight_names,
    count_parameters,
    invalid_model,
    read_json,
    read_tensors,
    weight_files,
)
from app.contract.errors import UserFault

MOST_ROWS_PER_TOKEN, PADDING_ROWS = 2, 1024


def vocabulary_of(tokenizer: dict[str, Any]) -> tuple[str, int]:
    """The kind of a `tokenizer.json`, and how many tokens it has."""
    try:
        kind, vocabulary = tokenizer["model"]["type"], tokenizer["model"]["vocab"]
        added = {token["content"] for token in tokenizer.get("added_tokens", [])}
        # A Unigram's is a list of pairs of a piece and its score.
        pieces = {piece for piece, _ in vocabulary} if isinstance(vocabulary, list) else vocabulary
        return str(kind), len(added.union(pieces))
    except (KeyError, TypeError, ValueError) as error:
        raise invalid_model("tokenizer.json cannot be read") from error


def check_table(config: dict[str, Any], tokens: int, tensors: Iterable[StoredTensor]) -> None:
    """Refuse a model whose config, weights and tokenizer are not of one vocabulary."""
    text_config = config.get("text_config")
    rows = (text_config if isinstance(text_config, dict) else config).get("vocab_size")
    if not isinstance(rows, int):
        return  # the architecture's default, which only the worker knows
    if not any(tensor.shape[:1] == [rows] for tensor in tensors):
        raise invalid_model(f"its config speaks of {rows} tokens, its weights of another number")
    if not tokens <= rows <= MOST_ROWS_PER_TOKEN * tokens + PADDING_ROWS:
        raise invalid_model(
            f"its tokenizer has {tokens} tokens and its embedding matrix {rows} rows, so they do "
            "not belong together"
        )


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


WITHOUT_TOKEN_CLASSIFICATION = ("gemma3_text", "bart", "mbart")
"""All that are supported have one for sequence classification."""


LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers")
DECODER_LAYERS = ("decoder_layers", "num_decoder_layers")
HEADS: dict[str, tuple[str, ...]] = {
    "mlm": ("ForMaskedLM", "ForPreTraining", "WithLMHead"),
    "clm": ("ForCausalLM", "LMHeadModel"),
    "denoise": ("ForConditionalGeneration", "WithLMHeadModel"),
}
"""Endings of the names of the classes that can be trained so."""
NEEDS = {
    "mlm": "a model with a mask token and a masked-language-model head",
    "clm": "a decoder with its language-model head",
    "denoise": "an encoder-decoder with its head",
}


@dataclass(frozen=True)
class TrainingFacts:
    """The class that wrote a model and its layers; None where the configs do not say."""

    architecture: str | None
    layers: int | None
    has_mask: bool | None

    def fault(self, objective: str) -> str | None:
        """What an objective (of one name) needs and the model is not; None where it may be."""
        if objective not in HEADS:
            return None
        lacks_head = self.architecture and not self.architecture.endswith(HEADS[objective])
        lacks_mask = objective == "mlm" and self.has_mask is False
        return NEEDS[objective] if lacks_head or lacks_mask else None


def training_facts(folder: Path) -> TrainingFacts:
    """Read what the configs of a checked model folder say."""
    config = read_json(folder / "config.json")
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    counts = [config.get(name) for name in (*LAYERS, *DECODER_LAYERS)]
    found = [count for count in counts if isinstance(count, int)]
    return TrainingFacts(
        architecture if isinstance(architecture, str) else None,
        max(found, default=None),
        _has_mask(folder),
    )


def _has_mask(folder: Path) -> bool | None:
    """Whether a tokenizer has a mask token, told by its config where that names any."""
    file = folder / "tokenizer_config.json"
    config: dict[str, Any] = read_json(file) if file.is_file() else {}
    if "mask_token" in config:
        return config["mask_token"] is not None
    # Some classes have one by default.
    return None
