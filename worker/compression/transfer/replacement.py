"""Putting new vocabulary tensors in the place of old ones, wherever they are tied."""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn
from transformers import PreTrainedModel

from worker.compression.transfer.embedding_modules import input_embeddings, output_embeddings
from worker.compression.transfer.vocabulary import vocabulary_tensors

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
