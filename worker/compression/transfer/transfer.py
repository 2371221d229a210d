"""Fast Vocabulary Transfer: a base model with the domain vocabulary in place of its own."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.report import TransferCounts
from worker.compression.errors import UnsupportedModelError
from worker.compression.models.vocabulary_tensors import (
    input_embeddings,
    output_embeddings,
    position_origins,
    vocabulary_tensors,
)
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.families import family_of
from worker.compression.transfer.embeddings import Method, RowMap, map_rows, pad_rows, row_map
from worker.compression.transfer.partition import SOURCES, Partitions, partition_vocabulary
from worker.compression.transfer.token_ids import id_map, move_token_ids

TableMap = Callable[[Tensor, float | None], Tensor]
IdMap = Callable[[int], int | None]

NEVER = -1e4
"""A bias under which a token is never predicted, within the range of float16."""


def replace_vocabulary(model: PreTrainedModel, move: TableMap, new_id: IdMap) -> None:
    """Put ``move(tensor, padding)`` in the place of each vocabulary tensor, wherever it is tied.

    ``move`` takes and returns a table (V, width); biases are handed to it as (V, 1). ``padding``
    is what rows without a token hold, the mean of the table where it is None: with the mean, the
    logit of such a row is the mean of the others and never their maximum. Sizes and indices that
    modules keep (``num_embeddings``, ``out_features``, ``padding_idx``) follow.
    """
    found = vocabulary_tensors(model)
    tables = input_embeddings(model)
    heads = [h for h in output_embeddings(model) if h.out_features == tables[0].num_embeddings]
    moved = {id(t): move(t, None) for t in [*found.input_tables, *found.output_tables]}
    moved |= {id(t): _move_bias(t, move) for t in found.biases}
    _put_in_place(model, moved)
    size = tables[0].weight.shape[0]
    for table in tables:
        table.num_embeddings = size
    for head in heads:
        head.out_features = size
    for module in _token_readers(model, tables):
        vars(module)["padding_idx"] = new_id(vars(module)["padding_idx"])


def _token_readers(model: PreTrainedModel, tables: Sequence[nn.Module]) -> Iterator[nn.Module]:
    """Yield the modules that know the pad token's id; a position table's index is a position."""
    for module in model.modules():
        is_other_table = isinstance(module, nn.Embedding) and module not in tables
        if isinstance(vars(module).get("padding_idx"), int) and not is_other_table:
            yield module


def _move_bias(bias: Tensor, move: TableMap) -> Tensor:
    return move(bias.reshape(-1, 1), NEVER).reshape(*bias.shape[:-1], -1)


def _put_in_place(model: PreTrainedModel, moved: dict[int, Tensor]) -> None:
    parameters: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, old in list(module._parameters.items()):
            if old is not None and id(old) in moved:
                new = nn.Parameter(moved[id(old)], requires_grad=old.requires_grad)
                setattr(module, name, parameters.setdefault(id(old), new))
        for name, buffer in list(module._buffers.items()):
            if buffer is not None and id(buffer) in moved:
                setattr(module, name, moved[id(buffer)])


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
