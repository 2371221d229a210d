"""Loading a model and its tokenizer from a local folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.check_weights import check_loaded, check_ties, check_values
from worker.compression.errors import UnsupportedModelError, UnsupportedTokenizerError
from worker.compression.transfer.embedding_modules import input_embeddings

_UNLOADABLE = (
    *(OSError, ValueError, ImportError, RuntimeError, SafetensorError),
    # What a class does with sizes that cannot be depends on the class.
    *(AssertionError, AttributeError, LookupError, TypeError, ArithmeticError),
)
_MOST_ROWS_PER_TOKEN, _PADDING_ROWS = 2, 1024


@dataclass(frozen=True)
class LoadedModel:
    """A model with the tokenizer its embedding matrix belongs to."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: Path


def load_model(folder: Path) -> LoadedModel:
    """Load a model with its own class and dtype, in evaluation mode, and its fast tokenizer.

    Weights come from safetensors only and no code of the folder is run.

    Raises:
        UnsupportedModelError: no safetensors, an unknown architecture, weights that are not those
            of the config, or a tokenizer that does not belong to the embedding matrix.
        NonFiniteWeightsError: a weight is NaN or infinite.
        UnsupportedTokenizerError: there is no fast tokenizer.

    """
    model = _load_weights(folder)
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


def _load_weights(folder: Path) -> PreTrainedModel:
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        model_class = _own_class(config.architectures)
        with torch.random.fork_rng(devices=[]):
            # Weights that the checkpoint lacks, such as a pooler's, are drawn at random.
            torch.manual_seed(0)
            model, info = model_class.from_pretrained(
                folder, use_safetensors=True, dtype="auto", output_loading_info=True, **local
            )
    except _UNLOADABLE as error:
        raise UnsupportedModelError(
            f"The model cannot be loaded: {error} Use a transformers model stored as safetensors "
            "that needs no code of its own."
        ) from error
    loaded: PreTrainedModel = model.eval()
    check_loaded(loaded, info["missing_keys"], info["unexpected_keys"])
    check_ties(loaded)
    check_values(loaded)
    return loaded


def _own_class(architectures: list[str] | None) -> Any:
    """Return the class that wrote the checkpoint, so that its heads are kept."""
    name = architectures[0] if architectures else ""
    return getattr(transformers, name, AutoModel)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer from a local folder.

    Raises:
        UnsupportedTokenizerError: there is none.

    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        raise UnsupportedTokenizerError(f"The tokenizer cannot be loaded: {error}") from error
    files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if not any((folder / name).is_file() for name in files):
        # Some classes start an empty vocabulary where there is no file.
        raise UnsupportedTokenizerError("The base model's folder has no tokenizer: add its files.")
    if not tokenizer.is_fast:
        raise UnsupportedTokenizerError(
            "The base model has no fast tokenizer: convert it to a tokenizer.json first."
        )
    return tokenizer
