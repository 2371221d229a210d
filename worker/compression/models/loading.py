"""Loading a model and its tokenizer from a local folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.model_kinds import ModelKind
from worker.compression.errors import (
    NonFiniteWeightsError,
    UnsupportedModelError,
    UnsupportedTokenizerError,
)
from worker.compression.models.faults import faults_of_files
from worker.compression.models.folders import kind_of_folder
from worker.compression.models.vocabulary_tensors import input_embeddings
from worker.compression.tokenizers.tokenizer_json import lower_case_first

_MAY_BE_DRAWN = re.compile(r"(^|\.)pooler\.")
_NUMBERED = re.compile(r"^(.*\.\d+)\.")


def check_loaded(
    model: PreTrainedModel, missing_keys: Iterable[str], unexpected_keys: Iterable[str]
) -> None:
    """Refuse a checkpoint without weights the config asks for, or with layers it does not know.

    A pooler that is missing is drawn at random, as transformers does, and heads that the model's
    class does not have are left behind.

    Raises:
        UnsupportedModelError: so it is; the message names the first such tensor.

    """
    missing = sorted(key for key in missing_keys if not _MAY_BE_DRAWN.search(key))
    if missing:
        raise UnsupportedModelError(
            f"The checkpoint has no {missing[0]}, which its config asks for ({len(missing)} such "
            "tensors): use a whole checkpoint with its own config."
        )
    modules = {name for name, _ in model.named_modules()}
    for key in sorted(unexpected_keys):
        layer = _NUMBERED.match(key)
        stack = layer[1].rpartition(".")[0] if layer else ""
        if layer and stack in modules and layer[1] not in modules:
            raise UnsupportedModelError(
                f"The checkpoint has {key}, a layer that its config does not know of: use the "
                "config that was saved with it."
            )


def check_ties(model: PreTrainedModel) -> None:
    """Refuse weights that the config says are shared and that are not.

    Raises:
        UnsupportedModelError: so it is; the message names both.

    """
    tied = model.get_expanded_tied_weights_keys(all_submodels=True)
    for one, other in tied.items():
        if model.get_parameter_or_buffer(one) is not model.get_parameter_or_buffer(other):
            raise UnsupportedModelError(
                f"The config ties {one} to {other}, and the checkpoint has different values for "
                "them: set tie_word_embeddings to what the model was trained with."
            )


def check_values(model: PreTrainedModel) -> None:
    """Refuse weights that are not finite numbers.

    Raises:
        NonFiniteWeightsError: so it is; the message names the first such tensor.

    """
    for name, tensor in model.named_parameters():
        # The extremes are NaN or infinite where any value is, and take no copy of the tensor.
        if tensor.numel() and not torch.isfinite(torch.stack(tensor.aminmax())).all():
            raise NonFiniteWeightsError(
                f"{name} holds NaN or infinite values: use a sound checkpoint."
            )


_MOST_ROWS_PER_TOKEN, _PADDING_ROWS = 2, 1024


@dataclass(frozen=True)
class LoadedModel:
    """A model with the tokenizer its embedding matrix belongs to."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: Path

    @cached_property
    def kind(self) -> ModelKind:
        """Return what the model is, by its folder's files and the loaded model's config."""
        return kind_of_folder(self.folder, self.model)

    @property
    def weights_folder(self) -> Path:
        """Return the folder of its config, tokenizer and weights: ``folder``, or one in it."""
        return self.folder / self.kind.transformer


def load_model(folder: Path) -> LoadedModel:
    """Load a model with its own class and dtype, in evaluation mode, and its fast tokenizer.

    Weights come from safetensors only and no code of the folder is run.

    Raises:
        UnsupportedModelError: no safetensors, an unknown architecture, weights that are not those
            of the config, or a tokenizer that does not belong to the embedding matrix; or a use
            or a module of sentence-transformers that cannot be compressed.
        NonFiniteWeightsError: a weight is NaN or infinite.
        UnsupportedTokenizerError: there is no fast tokenizer.

    """
    kind = kind_of_folder(folder)
    model = _load_weights(folder / kind.transformer, kind)
    tokenizer = load_tokenizer(folder)
    rows = input_embeddings(model)[0].num_embeddings
    if len(tokenizer) > rows:
        raise UnsupportedModelError(
            f"The tokenizer has {len(tokenizer)} tokens and the embedding matrix {rows} rows: "
            "use a base model whose tokenizer belongs to it."
        )
    if rows > _MOST_ROWS_PER_TOKEN * len(tokenizer) + _PADDING_ROWS:
        raise UnsupportedModelError(
            f"The embedding matrix has {rows} rows for a tokenizer of {len(tokenizer)} tokens: "
            "use a base model whose tokenizer belongs to it."
        )
    return LoadedModel(model, tokenizer, folder)


def _load_weights(folder: Path, kind: ModelKind) -> PreTrainedModel:
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with faults_of_files(_unloadable):
        config = AutoConfig.from_pretrained(folder, **local)
        model_class = _own_class(config.architectures)
        with torch.random.fork_rng(devices=[]):
            # Weights that the checkpoint lacks, such as a pooler's, are drawn at random.
            torch.manual_seed(0)
            weights = {"use_safetensors": True, "dtype": "auto", "output_loading_info": True}
            model, info = model_class.from_pretrained(folder, **weights, **local)
            if kind.role == "sentence_encoder" and _lacks_head(model, info["missing_keys"]):
                model, info = AutoModel.from_pretrained(folder, **weights, **local)
        loaded: PreTrainedModel = model.eval()
    check_loaded(loaded, info["missing_keys"], info["unexpected_keys"])
    raw, _ = PretrainedConfig.get_config_dict(folder, **local)
    if raw.get("tie_word_embeddings") is not False:
        # Some configs say they tie whatever their file says, such as T5's.
        check_ties(loaded)
    check_values(loaded)
    return loaded


def _unloadable(why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The model cannot be loaded: {why} Use a transformers model stored as safetensors "
        "that needs no code of its own."
    )


def _lacks_head(model: PreTrainedModel, missing_keys: Iterable[str]) -> bool:
    """Tell whether all that a checkpoint lacks is outside of the body, of which vectors are."""
    body = f"{model.base_model_prefix}."
    missing = [key for key in missing_keys if not _MAY_BE_DRAWN.search(key)]
    return bool(missing) and not any(key.startswith(body) for key in missing)


def _own_class(architectures: list[str] | None) -> Any:
    """Return the class that wrote the checkpoint, so that its heads are kept."""
    name = architectures[0] if architectures else ""
    found = getattr(transformers, name, AutoModel)
    is_model = isinstance(found, type) and issubclass(found, PreTrainedModel)
    return found if is_model else AutoModel


def _unloadable_tokenizer(why: str) -> UnsupportedTokenizerError:
    return UnsupportedTokenizerError(
        f"The tokenizer cannot be loaded: {why}. Load it with `AutoTokenizer` and save it again, "
        "or choose another base model."
    )


def load_tokenizer(folder: Path, kind: ModelKind | None = None) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer from a local folder, that of a model or of a tokenizer alone.

    It lower-cases where the folder has sentence-transformers do so; ``kind`` is that of the model
    it is for, where the folder is the tokenizer's alone.

    Raises:
        UnsupportedTokenizerError: there is none.
        UnsupportedModelError: it is that of a model that cannot be compressed.

    """
    if kind is None:
        kind = kind_of_folder(folder)
        folder /= kind.transformer
    with faults_of_files(_unloadable_tokenizer):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **kind.tokenizer_settings
        )
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise _unloadable_tokenizer("its `tokenizer_class` is no tokenizer's")
    files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if not any((folder / name).is_file() for name in files):
        # Some classes start an empty vocabulary where there is no file.
        raise UnsupportedTokenizerError("The base model's folder has no tokenizer: add its files.")
    if not tokenizer.is_fast:
        raise UnsupportedTokenizerError(
            "The base model has no fast tokenizer: convert it to a tokenizer.json first."
        )
    if kind.lower_case:
        lower_case_first(tokenizer)
    return tokenizer
