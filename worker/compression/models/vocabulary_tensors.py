"""The embedding modules of a model and of the models inside it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn
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


@dataclass(frozen=True)
class VocabularyTensors:
    """The tensors with one entry a token, each once, however often it is tied.

    ``input_tables`` are (V, width), ``output_tables`` are the untied ones among the output
    heads, (V, width), and ``biases`` are (V,) or (1, V).
    """

    input_tables: list[Tensor]
    output_tables: list[Tensor]
    biases: list[Tensor]


def vocabulary_tensors(model: PreTrainedModel) -> VocabularyTensors:
    """Find the tensors of a model that have one entry a token.

    Every model inside the model is asked for its own input and output embeddings, so that the
    stacks of an encoder-decoder are found with their tables. A bias is a vector of the
    vocabulary's length that the output head holds, or any module that contains the head.

    Raises:
        UnsupportedModelError: the model has no token embeddings, or a further tensor of the
            vocabulary's length that is none of these.

    """
    inputs = distinct(table.weight for table in input_embeddings(model))
    heads, size = output_embeddings(model), inputs[0].shape[0]
    # DeBERTa-v2 calls the layer before the output its head: the shape decides.
    tables = distinct(head.weight for head in heads if head.out_features == size)
    outputs = [table for table in tables if not _holds(inputs, table)]
    biases = [t for t in distinct(_held_above(model, heads)) if _is_vector(t, size)]
    found = VocabularyTensors(inputs, outputs, biases)
    _refuse_others(model, found)
    return found


def _held_above(model: PreTrainedModel, heads: Sequence[nn.Module]) -> Iterator[Tensor]:
    """Yield what the heads, and the modules that contain them, hold themselves."""
    names = [name for name, module in model.named_modules() if _holds(heads, module)]
    for name in names:
        parts = name.split(".")
        for depth in range(len(parts), -1, -1):
            module = model.get_submodule(".".join(parts[:depth]))
            yield from module.parameters(recurse=False)
            yield from module.buffers(recurse=False)


def _is_vector(tensor: Tensor, size: int) -> bool:
    return tensor.is_floating_point() and tensor.shape in {(size,), (1, size)}


def _refuse_others(model: PreTrainedModel, found: VocabularyTensors) -> None:
    size = found.input_tables[0].shape[0]
    known = [*found.input_tables, *found.output_tables, *found.biases]
    if further := [name for name in model.config.to_dict() if name.startswith("vocab_size_")]:
        raise UnsupportedModelError(
            f"{type(model).__name__} has a vocabulary of its own in {further}, such as embeddings "
            "of every layer: use a model with one vocabulary."
        )
    if size in _sizes(model):
        return
    for name, tensor in model.state_dict(keep_vars=True).items():
        if size in tensor.shape and not _holds(known, tensor):
            raise UnsupportedModelError(
                f"{name} of {type(model).__name__} has one entry a token in a place that is not "
                "understood: use a model whose only such tensors are embeddings and output heads."
            )


def _sizes(model: PreTrainedModel) -> set[int]:
    """Return the numbers a config names besides its vocabulary size: other tensors have these."""
    content = {k: v for k, v in model.config.to_dict().items() if k != "vocab_size"}
    return {value for value in content.values() if isinstance(value, int)}


def _holds(items: Sequence[object], item: object) -> bool:
    return any(other is item for other in items)
