"""Fast Vocabulary Transfer: a base model with the domain vocabulary in place of its own."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.report import TransferCounts
from worker.compression.errors import UnsupportedModelError
from worker.compression.models.token_ids import IdMap, id_map, move_token_ids
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

# From a base table (V_gen, width) to its domain table (V_in, width). The second argument fills
# rows without a token; with None they are the mean of the table.
TableMap = Callable[[Tensor, float | None], Tensor]

# A bias under which a token is never predicted, within the range of float16.
NEVER_PREDICTED = -1e4


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
    size = -(-len(partitions) // pad_to_multiple_of) * pad_to_multiple_of  # rounded up
    student = transplant(model, base_tokenizer, domain_tokenizer, rows, size, seed)
    progress(1.0, "vocabulary transferred")
    counts = {source: int(partitions.where(source).sum()) for source in SOURCES}
    unk_pieces = int(partitions.unk_pieces.sum())
    return Transfer(student, partitions, TransferCounts(**counts, unk_pieces=unk_pieces))


def transplant(  # noqa: PLR0913, PLR0917
    model: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    rows: RowMap,
    size: int,
    seed: int,
) -> PreTrainedModel:
    """Return a copy of ``model`` with vocabulary tensors of ``size`` rows made by a row map.

    Raises:
        UnsupportedModelError: the model keeps its vocabulary in a way that is not understood, or
            counts positions from a token that has another id in the domain.
        NonFiniteWeightsError: the base embeddings are not all finite numbers.

    """
    for origin in position_origins(model):
        token = base_tokenizer.convert_ids_to_tokens(origin)
        if domain_tokenizer.convert_ids_to_tokens(origin) != token:
            raise UnsupportedModelError(
                f"The model counts positions from {token}, id {origin}, which the domain "
                "tokenizer has elsewhere: it has to come as early among the special tokens."
            )

    def map_table(base: Tensor, padding: float | None) -> Tensor:
        return pad_rows(map_rows(base, rows, seed), size, padding)

    student = copy.deepcopy(model)
    replace_vocabulary(student, map_table, id_map(base_tokenizer, domain_tokenizer))
    move_token_ids(student, base_tokenizer, domain_tokenizer, size)
    return student


def replace_vocabulary(model: PreTrainedModel, map_table: TableMap, new_id: IdMap) -> None:
    """Put the mapped tensor in the place of each vocabulary tensor, wherever it is tied.

    ``map_table`` gets biases as (V, 1). Its padding is the mean of the table for tables, so that
    the logit of a row without a token is the mean of the others and never their maximum, and
    ``NEVER_PREDICTED`` for biases. Sizes and indices that modules keep (``num_embeddings``,
    ``out_features``, ``padding_idx``) follow.
    """
    tensors = vocabulary_tensors(model)
    tables = input_embeddings(model)
    heads = [h for h in output_embeddings(model) if h.out_features == tables[0].num_embeddings]
    new_tensors = {
        id(table): map_table(table, None)
        for table in [*tensors.input_tables, *tensors.output_tables]
    }
    for bias in tensors.biases:
        column = map_table(bias.reshape(-1, 1), NEVER_PREDICTED)
        new_tensors[id(bias)] = column.reshape(*bias.shape[:-1], -1)
    _replace_tensors(model, new_tensors)

    size = tables[0].weight.shape[0]
    for table in tables:
        table.num_embeddings = size
    for head in heads:
        head.out_features = size
    for module in model.modules():
        # The padding index of another table, such as the position table, is no token id.
        is_other_table = isinstance(module, nn.Embedding) and module not in tables
        padding_id = vars(module).get("padding_idx")
        if isinstance(padding_id, int) and not is_other_table:
            vars(module)["padding_idx"] = new_id(padding_id)


def _replace_tensors(model: PreTrainedModel, new_tensors: dict[int, Tensor]) -> None:
    """Replace parameters and buffers by their ``id``; tied parameters stay tied."""
    parameters: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, old in list(module._parameters.items()):
            if old is not None and id(old) in new_tensors:
                new = nn.Parameter(new_tensors[id(old)], requires_grad=old.requires_grad)
                setattr(module, name, parameters.setdefault(id(old), new))
        for name, buffer in list(module._buffers.items()):
            if buffer is not None and id(buffer) in new_tensors:
                setattr(module, name, new_tensors[id(buffer)])
