"""Fast Vocabulary Transfer: a base model with the domain vocabulary in place of its own."""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedModelError
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.family import family_of
from worker.compression.transfer.embeddings import Method, map_rows, row_map
from worker.compression.transfer.partition import Partition, partition_vocabulary
from worker.compression.transfer.replacement import replace_vocabulary
from worker.compression.transfer.token_ids import move_token_ids
from worker.compression.transfer.vocabulary import position_origins


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
    partitions: list[Partition]
    counts: TransferCounts


def transfer_vocabulary(  # noqa: PLR0913, PLR0917
    model: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    method: Method = "fvt",
    seed: int = 0,
    progress: Progress | None = None,
) -> Transfer:
    """Return a copy of ``model`` that reads and writes the domain tokenizer's ids.

    Tokens that the base has keep their embedding. The others get the mean of their pieces' (FVT,
    Gee et al. 2022, section 3.1), the mean weighted by piece length (``wvt``) or a random one
    (``pvt``, their baseline). Output rows and output biases are made by the same map, and ids in
    the configs are moved. ``model`` itself stays as it is.

    Raises:
        UnsupportedModelError: the model keeps its vocabulary in a way that is not understood.
        UnsupportedTokenizerError: the tokenizers are not of one family.
        NonFiniteWeightsError: the base embeddings are not all finite numbers.

    """
    progress = progress or silent
    progress(0.0, "partitioning the vocabulary")
    partitions = partition_vocabulary(base_tokenizer, domain_tokenizer)
    if method == "pvt":
        partitions = [_forget_pieces(partition) for partition in partitions]
    _check_positions(model, base_tokenizer, domain_tokenizer)
    progress(0.5, "transferring the embeddings")
    family = family_of(base_tokenizer)
    length_of = (lambda piece: len(family.surface(piece))) if method == "wvt" else None
    rows = row_map(partitions, length_of, len(base_tokenizer))

    def move(base: Tensor) -> Tensor:
        return map_rows(base, rows, seed)

    student = copy.deepcopy(model)
    replace_vocabulary(student, move, domain_tokenizer.pad_token_id)
    move_token_ids(student, base_tokenizer, domain_tokenizer)
    progress(1.0, "vocabulary transferred")
    return Transfer(student, partitions, count_sources(partitions))


def count_sources(partitions: Sequence[Partition]) -> TransferCounts:
    """Count the partitions by source."""
    sources = Counter(partition.source for partition in partitions)
    return TransferCounts(
        copied=sources["copied"],
        averaged=sources["averaged"],
        fallback=sources["fallback"],
        random=sources["random"],
        unk_pieces=sum(partition.unk_pieces for partition in partitions),
    )


def _forget_pieces(partition: Partition) -> Partition:
    if partition.source == "copied":
        return partition
    return replace(partition, source="random", pieces=(), base_ids=(), unk_pieces=0)


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
