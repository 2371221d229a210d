"""The embedding modules of a model and of the models inside it."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from torch import nn
from transformers import PreTrainedModel

from worker.compression.errors import UnsupportedModelError

Item = TypeVar("Item")


def input_embeddings(model: PreTrainedModel) -> list[nn.Embedding]:
    """Return the token embedding modules of a model and of the models inside it."""
    tables = distinct(_input_embeddings(m) for m in _models(model))
    found = [table for table in tables if isinstance(table, nn.Embedding)]
    if not found or len(found) < len(tables):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no plain token embeddings: use a text model."
        )
    if len({table.num_embeddings for table in found}) > 1:
        raise UnsupportedModelError(
            f"{type(model).__name__} has several vocabularies: use a model with one."
        )
    return found


def _input_embeddings(model: PreTrainedModel) -> nn.Module | None:
    try:
        return model.get_input_embeddings()
    except NotImplementedError:
        return None


def output_embeddings(model: PreTrainedModel) -> list[nn.Linear]:
    """Return the output heads of a model and of the models inside it; encoders have none."""
    heads = distinct(
        head
        for m in _models(model)
        if (head := m.get_output_embeddings()) is not None  # type: ignore[no-untyped-call]
    )
    return [head for head in heads if isinstance(head, nn.Linear)]


def position_origins(model: PreTrainedModel) -> set[int]:
    """Return the token ids after which position ids start, none in most models.

    RoBERTa counts positions from the config's pad id, MPNet from 1 whatever the config says: the
    position table has that id as its own padding index.
    """
    tables = set(input_embeddings(model))
    others = (m for m in model.modules() if isinstance(m, nn.Embedding) and m not in tables)
    return {table.padding_idx for table in others if table.padding_idx is not None}


def _models(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    return (module for module in model.modules() if isinstance(module, PreTrainedModel))


def distinct(items: Iterable[Item | None]) -> list[Item]:
    """Return the items that there are, each once, in their order."""
    return list({id(item): item for item in items if item is not None}.values())
