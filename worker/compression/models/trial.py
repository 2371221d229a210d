"""Try a base model on a few texts before any work is done with it."""

import torch

from worker.compression.errors import UnsupportedModelError, UnsupportedTokenizerError
from worker.compression.models.encoder import Encoder
from worker.compression.models.faults import faults_of_files
from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import input_embeddings

_TEXTS = (
    "A plain sentence, to begin with.",
    "Ünïcödé “quotes”, 12.5 %, a@b.example\tand\na second line",
    "数据 データ 한국어 עברית العربية हिन्दी 🙂",
)


def try_model(loaded: LoadedModel) -> None:
    """Run a model once, with its own tokenizer and settings.

    A config and a tokenizer can be loaded and yet be such that nothing works with them.

    Raises:
        UnsupportedTokenizerError: the tokenizer fails on a plain text, or makes ids that the
            embedding matrix does not have.
        UnsupportedModelError: the model cannot be run on what the tokenizer makes.

    """
    rows = input_embeddings(loaded.model)[0].num_embeddings
    with faults_of_files(_tokenizer_fails):
        tokenizer = loaded.tokenizer
        unknown = [token for token in tokenizer.all_special_tokens if token not in _known(loaded)]
        if unknown:
            raise UnsupportedTokenizerError(
                f"The tokenizer's special token {unknown[0]!r} is not in its vocabulary: use a "
                "base model whose tokenizer is whole."
            )
        encoder = Encoder(loaded)
        ids = [encoder.inputs([text])["input_ids"] for text in _TEXTS]
        for row in ids:
            tokenizer.decode(row[0])
    largest = max((int(row.max()) for row in ids if row.numel()), default=0)
    if largest >= rows:
        raise UnsupportedTokenizerError(
            f"The tokenizer makes the id {largest}, and the embedding matrix has {rows} rows: use "
            "a base model whose tokenizer belongs to it."
        )
    with faults_of_files(_model_fails):
        size = loaded.model.config.get_text_config().vocab_size
        output = encoder.vectors(_TEXTS)
    if size != rows:
        raise UnsupportedModelError(
            f"The config speaks of {size} tokens, and the embedding matrix has {rows} rows: use "
            "the config that was saved with the weights."
        )
    if not bool(torch.isfinite(output).all()):
        raise UnsupportedModelError(
            "The model's outputs on a plain text are not finite numbers: use a sound checkpoint."
        )


def _known(loaded: LoadedModel) -> dict[str, int]:
    return loaded.tokenizer.get_vocab()


def _tokenizer_fails(why: str) -> UnsupportedTokenizerError:
    return UnsupportedTokenizerError(
        f"The tokenizer fails on a plain text: {why}. Choose a base model whose tokenizer works."
    )


def _model_fails(why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The model fails on a plain text: {why}. Use a base model that works as it is."
    )
