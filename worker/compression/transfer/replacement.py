"""Putting new vocabulary tensors in the place of old ones, wherever they are tied."""

from collections.abc import Callable

from torch import Tensor, nn
from transformers import PreTrainedModel

from worker.compression.transfer.vocabulary import (
    input_embeddings,
    output_embeddings,
    vocabulary_tensors,
)


def replace_vocabulary(
    model: PreTrainedModel, move: Callable[[Tensor], Tensor], pad_id: int | None
) -> None:
    """Put ``move(tensor)`` in the place of each vocabulary tensor, wherever it is tied.

    ``move`` takes and returns a table (V, width); biases are handed to it as (V, 1). Sizes that
    modules keep (``num_embeddings``, ``out_features``, ``vocab_size``) follow.
    """
    found = vocabulary_tensors(model)
    tables = input_embeddings(model)
    heads = [h for h in output_embeddings(model) if h.out_features == tables[0].num_embeddings]
    moved = {id(t): move(t) for t in [*found.input_tables, *found.output_tables]}
    moved |= {id(t): _move_bias(t, move) for t in found.biases}
    _put_in_place(model, moved)
    size = tables[0].weight.shape[0]
    for table in tables:
        table.num_embeddings = size
        table.padding_idx = table.padding_idx if table.padding_idx is None else pad_id
    for head in heads:
        head.out_features = size


def _move_bias(bias: Tensor, move: Callable[[Tensor], Tensor]) -> Tensor:
    return move(bias.reshape(-1, 1)).reshape(*bias.shape[:-1], -1)


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
