"""Fast Vocabulary Transfer: a base model with the domain vocabulary in place of its own."""

import copy
from dataclasses import dataclass

from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedModelError
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.families import family_of
from worker.compression.transfer.embedding_modules import position_origins
from worker.compression.transfer.embeddings import Method, RowMap, map_rows, pad_rows, row_map
from worker.compression.transfer.partition import partition_vocabulary
from worker.compression.transfer.partitions import SOURCES, Partitions
from worker.compression.transfer.replacement import replace_vocabulary
from worker.compression.transfer.token_ids import id_map, move_token_ids


@dataclass(frozen=True)
class TransferCounts:
    """How many domain tokens got their embedding in which way, and unknown pieces dropped."""

    copied: int
    averaged: int
    fallback: int
    random: int
    unk_pieces: int


@dataclass(frozen=True)
class Transfer:
    """The transferred model, and the partition of every domain token in the order of ids."""

    model: PreTrainedModel
    partitions: Partitions
    counts: TransferCounts


def transfer_vocabulary(  # noqa: PLR0913, PLR0917
    model: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    method: Method = "fvt",
    seed: int = 0,
    progress: Progress | None = None,
    pad_to_multiple_of: int = 1,
) -> Transfer:
    """Return a copy of ``model`` that reads and writes the domain tokenizer's ids.

    Tokens that the base has keep their embedding. The others get the mean of their pieces' (FVT,
    Gee et al. 2022, section 3.1), the mean weighted by piece length (``wvt``) or a random one
    (``pvt``, their baseline). Output rows and output biases are made by the same map, and ids in
    the configs are moved. ``model`` itself stays as it is.

    Rows of the base's tables that have no token are left out. ``pad_to_multiple_of`` adds rows
    without a token, never predicted, until their number is a multiple: ``config.vocab_size`` is
    the number of rows, ``len(domain_tokenizer)`` that of tokens.

    Raises:
        UnsupportedModelError: the model keeps its vocabulary in a way that is not understood.
        UnsupportedTokenizerError: the tokenizers are not of one family.
        NonFiniteWeightsError: the base embeddings are not all finite numbers.

    """
    progress = progress or silent
    progress(0.0, "partitioning the vocabulary")
    partitions = partition_vocabulary(base_tokenizer, domain_tokenizer)
    if method == "pvt":
        partitions = partitions.without_pieces()
    progress(0.5, "transferring the embeddings")
    family = family_of(base_tokenizer)
    length_of = (lambda piece: len(family.surface(piece))) if method == "wvt" else None
    rows = row_map(partitions, length_of, len(base_tokenizer))
    size = -(-len(partitions) // pad_to_multiple_of) * pad_to_multiple_of
    student = transplant(model, base_tokenizer, domain_tokenizer, rows, size, seed)
    progress(1.0, "vocabulary transferred")
    return Transfer(student, partitions, count_sources(partitions))


def transplant(  # noqa: PLR0913, PLR0917
    model: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    rows: RowMap,
    size: int,
    seed: int,
) -> PreTrainedModel:
    """Return a copy of ``model`` with vocabulary tensors of ``size`` rows made by a row map."""
    _check_positions(model, base_tokenizer, domain_tokenizer)

    def move(base: Tensor, padding: float | None) -> Tensor:
        return pad_rows(map_rows(base, rows, seed), size, padding)

    student = copy.deepcopy(model)
    replace_vocabulary(student, move, id_map(base_tokenizer, domain_tokenizer))
    move_token_ids(student, base_tokenizer, domain_tokenizer, size)
    return student


def count_sources(partitions: Partitions) -> TransferCounts:
    """Count the partitions by source."""
    counts = {source: int(partitions.where(source).sum()) for source in SOURCES}
    return TransferCounts(**counts, unk_pieces=int(partitions.unk_pieces.sum()))


def _check_positions(
    model: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Refuse to move a token that the model finds by a fixed id to count positions."""
    for origin in position_origins(model):
        token = base_tokenizer.convert_ids_to_tokens(origin)
        if domain_tokenizer.convert_ids_to_tokens(origin) != token:
            raise UnsupportedModelError(
                f"The model counts positions from {token}, id {origin}, which the domain "
                "tokenizer has elsewhere: it has to come as early among the special tokens."
            )
