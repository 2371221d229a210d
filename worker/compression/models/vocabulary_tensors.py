"""The tensors of a model that have one entry per token, and the modules that hold them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn
from transformers import PreTrainedModel

from worker.compression.errors import UnsupportedModelError

Item = TypeVar("Item")


@dataclass(frozen=True)
class VocabularyTensors:
    """The tensors with one entry per token, each once, however often it is tied.

    ``input_tables`` are (V, width), ``output_tables`` are the untied ones among the output
    heads, (V, width), and ``biases`` are (V,) or (1, V).
    """

    input_tables: list[Tensor]
    output_tables: list[Tensor]
    biases: list[Tensor]


def vocabulary_tensors(model: PreTrainedModel) -> VocabularyTensors:
    """Return the tensors of a model that have one entry per token.

    The input and output embeddings are those of every model inside the model, so that the stacks
    of an encoder-decoder have their tables among them. A bias is a vector of the vocabulary's
    length that the output head holds, or any module that contains the head.

    Raises:
        UnsupportedModelError: the model has no token embeddings, or a further tensor of the
            vocabulary's length that is none of these.

    """
    inputs = _distinct(table.weight for table in input_embeddings(model))
    heads, size = output_embeddings(model), inputs[0].shape[0]
    # DeBERTa-v2 calls the layer before the output its head: the shape decides.
    tables = _distinct(head.weight for head in heads if head.out_features == size)
    outputs = [table for table in tables if not _contains(inputs, table)]
    biases = [
        tensor
        for tensor in _distinct(_tensors_around(model, heads))
        if tensor.is_floating_point() and tensor.shape in {(size,), (1, size)}
    ]
    tensors = VocabularyTensors(inputs, outputs, biases)
    _check_no_others(model, tensors)
    return tensors


def input_embeddings(model: PreTrainedModel) -> list[nn.Embedding]:
    """Return the token embedding modules of a model and of the models inside it.

    Raises:
        UnsupportedModelError: there is none, one is no plain ``nn.Embedding``, or they have
            vocabularies of different sizes.

    """
    modules: list[nn.Module | None] = []
    for inner in _models(model):
        try:
            modules.append(inner.get_input_embeddings())
        except NotImplementedError:
            # Models without token embeddings, such as those of images, raise.
            continue
    distinct = _distinct(modules)
    tables = [module for module in distinct if isinstance(module, nn.Embedding)]
    if not tables or len(tables) < len(distinct):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no plain token embeddings: use a text model."
        )
    if len({table.num_embeddings for table in tables}) > 1:
        raise UnsupportedModelError(
            f"{type(model).__name__} has several vocabularies: use a model with one."
        )
    return tables


def output_embeddings(model: PreTrainedModel) -> list[nn.Linear]:
    """Return the output heads of a model and of the models inside it; encoders have none."""
    heads = _distinct(
        head
        for inner in _models(model)
        if (head := inner.get_output_embeddings()) is not None  # type: ignore[no-untyped-call]
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


def _tensors_around(model: PreTrainedModel, heads: Sequence[nn.Module]) -> Iterator[Tensor]:
    """Yield the tensors that the heads, and the modules that contain them, hold themselves."""
    names = [name for name, module in model.named_modules() if _contains(heads, module)]
    for name in names:
        parts = name.split(".")
        for depth in range(len(parts), -1, -1):
            module = model.get_submodule(".".join(parts[:depth]))
            yield from module.parameters(recurse=False)
            yield from module.buffers(recurse=False)


def _check_no_others(model: PreTrainedModel, tensors: VocabularyTensors) -> None:
    """Refuse a model with further tensors that have one entry per token."""
    settings = model.config.to_dict()
    if further := [name for name in settings if name.startswith("vocab_size_")]:
        raise UnsupportedModelError(
            f"{type(model).__name__} has a vocabulary of its own in {further}, such as embeddings "
            "of every layer: use a model with one vocabulary."
        )
    size = tensors.input_tables[0].shape[0]
    # Where another setting is the same number, such as the width, a shape tells nothing.
    if size in {v for k, v in settings.items() if k != "vocab_size" and isinstance(v, int)}:
        return
    expected = [*tensors.input_tables, *tensors.output_tables, *tensors.biases]
    for name, tensor in model.state_dict(keep_vars=True).items():
        if size in tensor.shape and not _contains(expected, tensor):
            raise UnsupportedModelError(
                f"{name} of {type(model).__name__} has one entry a token in a place that is not "
                "understood: use a model whose only such tensors are embeddings and output heads."
            )


def _distinct(items: Iterable[Item | None]) -> list[Item]:
    """Return the items that are not None, each object once, in their order."""
    return list({id(item): item for item in items if item is not None}.values())


def _contains(items: Sequence[object], item: object) -> bool:
    """Tell whether ``item`` itself is among the items; tensors have no plain equality."""
    return any(other is item for other in items)
