"""Check that a model may and can be compressed, from its configs and headers alone.

Nothing here loads a weight or runs code of a model. What differs between model types is read from
`app.contract.architectures`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.base_models.config_checks import check_config
from app.base_models.files import (
    MAX_TOKENIZER_BYTES,
    invalid_model,
    is_regular,
    is_there,
    names_in,
    read_any_json,
    read_json,
)
from app.base_models.tokenizer_checks import (
    check_named_tokens,
    check_tokenizer,
    check_tokenizer_config,
    read_vocabulary,
)
from app.base_models.weights import (
    StoredTensor,
    check_shapes,
    check_weight_names,
    count_parameters,
    read_tensors,
    weight_files,
)
from app.contract.architectures import (
    ARCHITECTURES,
    LANGUAGE_MODEL_HEADS,
    Architecture,
    LanguageModelHead,
)
from app.contract.errors import UserFault
from app.contract.model_kinds import ModelKind, Role, decide_kind

TOKENIZER_CONFIG = "tokenizer_config.json"
CONFIGS = ("config.json", TOKENIZER_CONFIG)
TOKENIZER = "tokenizer.json"
# An embedding matrix may be padded, but not to the size of another tokenizer's.
MAX_ROWS_PER_TOKEN, PADDING_ROWS = 2, 1024


@dataclass(frozen=True)
class ModelFacts:
    """Hold what a model's files say of it; `bytes` are those of its weights."""

    model_type: str
    vocab_size: int
    parameters: int
    bytes: int
    encoder_decoder: bool
    role: Role = "encoder"


def examine(folder: Path, max_bytes: int) -> ModelFacts:
    """Check a whole model folder; raises `UserFault` if the model cannot be compressed."""
    kind = kind_of(folder)
    folder /= kind.transformer
    architecture = check_configs(folder)
    check_files(names_in(folder))
    tokenizer = read_json(folder / TOKENIZER, MAX_TOKENIZER_BYTES)
    tokenizer_model, vocab_size = read_vocabulary(tokenizer)
    _check_tokenizer_model(architecture, tokenizer_model)
    files = weight_files(folder)
    tensors = read_tensors(files)
    check_size(sum(tensor.bytes for tensor in tensors), max_bytes)
    config = read_json(folder / "config.json")
    check_embedding_rows(config, vocab_size, tensors)
    check_shapes(tensors)
    check_config(config, architecture, tensors)
    rows = config.get("vocab_size")
    check_tokenizer(tokenizer, rows)
    if is_there(folder / TOKENIZER_CONFIG):
        settings = read_json(folder / TOKENIZER_CONFIG)
        check_tokenizer_config(settings)
        check_named_tokens(settings, tokenizer, rows)
    # A T5 encoder alone has the model type of the whole.
    has_decoder = config.get("is_encoder_decoder") is not False
    return ModelFacts(
        model_type=architecture.model_type,
        vocab_size=vocab_size,
        parameters=count_parameters(tensors),
        bytes=sum(file.stat().st_size for file in files),
        encoder_decoder=architecture.kind == "encoder-decoder" and has_decoder,
        role=kind.role,
    )


def kind_of(folder: Path) -> ModelKind:
    """Say what the model of a folder is; raises `UserFault` for one that cannot be compressed."""

    def read(path: str) -> Any:
        file = folder / path
        return read_any_json(file) if is_there(file) else None

    return decide_kind(read)


def check_configs(folder: Path) -> Architecture:
    """Refuse what the configs rule out; returns the model's row. Needs no other file."""
    return check_config_types(
        {name: read_json(folder / name) for name in CONFIGS if is_there(folder / name)}
    )


def check_config_types(configs: Mapping[str, Any]) -> Architecture:
    """Refuse what the configs of these names rule out; returns the model's row."""
    configs = {name: config for name, config in configs.items() if config is not None}
    if not isinstance(configs.get("config.json"), dict):
        raise invalid_model("it has no config.json")
    for name, config in configs.items():
        if _names_code(config):
            raise UserFault(
                "remote_code_refused",
                f"The model's {name} asks to run code of its own (`auto_map`), which is never "
                "done. Choose a model of a standard architecture.",
            )
    model_type = configs["config.json"].get("model_type")
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise UserFault(
            "unsupported_model",
            f"The model type {str(model_type)[:80]!r} cannot be compressed in this version, only "
            f"{', '.join(ARCHITECTURES)}: of others it is not known where they keep their "
            "vocabulary.",
        )
    return ARCHITECTURES[model_type]


def _names_code(config: Any) -> bool:
    """Return true if `auto_map` is anywhere in a config, nested ones too."""
    pending = [config]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "auto_map" in part:
                return True
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return False


def check_files(names: set[str]) -> None:
    """Refuse a model without safe weights or a fast tokenizer, by the names of its files."""
    check_weight_names(names)
    if TOKENIZER not in names:
        raise UserFault(
            "no_fast_tokenizer",
            f"The model has no {TOKENIZER}. Load its tokenizer with `AutoTokenizer` and call "
            "`save_pretrained` to make one.",
        )


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a model that a worker of this installation has no memory for."""
    if size > max_bytes:
        raise UserFault(
            "model_too_large",
            f"The model's weights take {size:,} bytes, and this installation compresses models of "
            f"up to {max_bytes:,} (FVT_MAX_MODEL_BYTES). Choose a smaller model, or have it "
            "raised.",
        )


def _check_tokenizer_model(architecture: Architecture, tokenizer_model: str) -> None:
    if tokenizer_model not in architecture.tokenizer_models:
        raise UserFault(
            "unsupported_model",
            f"The tokenizer of this {architecture.model_type} model is of the kind "
            f"{tokenizer_model[:80]}; with this model type only "
            f"{', '.join(architecture.tokenizer_models)} can be compressed.",
        )


def check_embedding_rows(
    config: Mapping[str, Any], tokens: int, tensors: Iterable[StoredTensor]
) -> None:
    """Refuse a model whose config, weights and tokenizer are not of one vocabulary."""
    text_config = config.get("text_config")
    rows = (text_config if isinstance(text_config, dict) else config).get("vocab_size")
    if rows is None:
        return  # the architecture's default, which only the worker knows
    if type(rows) is not int:
        raise invalid_model(f"`vocab_size` of its config is {str(rows)[:80]!r}, no whole number")
    if not any(tensor.shape[:1] == [rows] for tensor in tensors):
        raise invalid_model(f"its config speaks of {rows} tokens, its weights of another number")
    if not tokens <= rows <= MAX_ROWS_PER_TOKEN * tokens + PADDING_ROWS:
        raise invalid_model(
            f"its tokenizer has {tokens} tokens and its embedding matrix {rows} rows, so they do "
            "not belong together"
        )


@dataclass(frozen=True)
class TrainingFacts:
    """Hold the class that wrote a model and its layers; None if the configs do not say."""

    architecture: str | None
    layers: int | None
    has_mask: bool | None
    heads: Mapping[str, LanguageModelHead] = field(default_factory=lambda: LANGUAGE_MODEL_HEADS)
    """Those of its model type, by objective."""

    def fault(self, objective: str) -> str | None:
        """Say what an objective (of one name) needs and the model lacks; None if it may work."""
        head = self.heads.get(objective)
        if head is None:
            return None
        lacks_head = self.architecture and not self.architecture.endswith(head.endings)
        lacks_mask = objective == "mlm" and self.has_mask is False
        return head.needs if lacks_head or lacks_mask else None


def training_facts(folder: Path) -> TrainingFacts:
    """Read how a model can be trained from the configs of its folder.

    Raises `UserFault` as `check_configs` does.
    """
    folder /= kind_of(folder).transformer
    row = check_configs(folder)
    config = read_json(folder / "config.json")
    classes = config.get("architectures")
    name = classes[0] if isinstance(classes, list) and classes else None
    counts = [config.get(key) for key in (*row.layer_counts, *row.decoder_layer_counts)]
    return TrainingFacts(
        architecture=name if isinstance(name, str) else None,
        layers=max((count for count in counts if isinstance(count, int)), default=None),
        has_mask=_has_mask(folder),
        heads=row.heads,
    )


def _has_mask(folder: Path) -> bool | None:
    """Tell from a tokenizer's config if it has a mask token; None if the config names none."""
    file = folder / TOKENIZER_CONFIG
    config = read_json(file) if is_regular(file) else {}
    if "mask_token" in config:
        return config["mask_token"] is not None
    # Some classes have one by default.
    return None
