"""Small folders of sentence-transformers, saved by its own classes or written by hand."""

import json
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression import LoadedModel, load_model, save_model, transfer_vocabulary

TRANSFORMER = "sentence_transformers.models.Transformer"
Module = tuple[str, str]
POOLED: tuple[Module, ...] = (("1_Pooling", "Pooling"),)


def write_json(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), "utf-8")


def kind_of(model_class: str) -> Any:
    return next(kind for kind in KINDS if model_class in kind.classes)


def transformers_folder(folder: Path, model_class: str = "BertModel", **config: Any) -> Path:
    """A tiny model of a class, whose tokens heed each other, with its tokenizer."""
    kind = kind_of(model_class)
    tokenizer, _ = tokenizer_pair(kind.family)
    config = {"initializer_range": 0.5, **config}
    save_model(folder, kind.make(model_class, tokenizer, **config), tokenizer)
    return folder


def sentence_encoder(
    folder: Path,
    model_class: str = "BertModel",
    modules: tuple[Module, ...] = POOLED,
    *,
    inner: str = "",
    pooling: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    use: dict[str, Any] | None = None,
) -> Path:
    """A folder of a sentence encoder as sentence-transformers of any version has it."""
    transformers_folder(folder / inner, model_class)
    listed = [(inner, TRANSFORMER), *((p, f"sentence_transformers.models.{n}") for p, n in modules)]
    write_json(
        folder / "modules.json",
        [
            {"idx": place, "name": str(place), "path": path, "type": type_}
            for place, (path, type_) in enumerate(listed)
        ],
    )
    for path, name in modules:
        write_module(folder / path, name, pooling or {"pooling_mode_mean_tokens": True})
    if settings is not None:
        write_json(folder / inner / "sentence_bert_config.json", settings)
    if use is not None:
        write_json(folder / "config_sentence_transformers.json", use)
    return folder


def write_module(folder: Path, name: str, pooling: dict[str, Any]) -> None:
    """Write a module of a width of 16, and to 8 for a Dense."""
    torch.manual_seed(1)
    if name == "Pooling":
        write_json(folder / "config.json", {"word_embedding_dimension": 16, **pooling})
    elif name == "Dense":
        config = {"in_features": 16, "out_features": 8, "bias": True}
        activation = "torch.nn.modules.activation.Tanh"
        write_json(folder / "config.json", {**config, "activation_function": activation})
        weights = {"linear.weight": torch.randn(8, 16), "linear.bias": torch.randn(8)}
        safetensors.torch.save_file(weights, folder / "model.safetensors")
    elif name == "LayerNorm":
        write_json(folder / "config.json", {"dimension": 16})
        weights = {"norm.weight": torch.randn(16), "norm.bias": torch.randn(16)}
        safetensors.torch.save_file(weights, folder / "model.safetensors")


def cross_encoder(folder: Path, model_class: str, labels: int = 1, **settings: Any) -> Path:
    """A cross-encoder as the installed sentence-transformers saves it."""
    transformers_folder(folder / "made", model_class, num_labels=labels)
    CrossEncoder(str(folder / "made"), **settings).save_pretrained(str(folder / "saved"))
    shutil.rmtree(folder / "made")
    return folder / "saved"


def compressed(base: Path, into: Path) -> LoadedModel:
    """Give a model the domain vocabulary, untrained, and save it as a job does."""
    loaded = load_model(base)
    family = kind_of(type(loaded.model).__name__).family
    _, domain = tokenizer_pair(family)
    domain.padding_side = loaded.tokenizer.padding_side
    domain.truncation_side = loaded.tokenizer.truncation_side
    made = transfer_vocabulary(loaded.model, loaded.tokenizer, domain).model
    save_model(into, made, domain, base)
    return load_model(into)


def encoded(folder: Path, texts: list[str], **settings: Any) -> torch.Tensor:
    """The vectors that a user of sentence-transformers gets."""
    model = SentenceTransformer(str(folder), device="cpu")
    vectors: torch.Tensor = model.encode(texts, convert_to_tensor=True, **settings)
    return vectors.cpu()
