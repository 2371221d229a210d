"""A model as an ONNX graph, for any number of texts of any length."""

import inspect
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from worker.compression.errors import ExportUnsupportedError
from worker.compression.loading import LoadedModel

OPSET = 17
"""LayerNormalization is one operator since 17; ONNX Runtime reads it since 1.12 (2022)."""
HIDDEN = "last_hidden_state"
_MOST_BYTES = 2**31
"""Where protocol buffers end."""
_EXAMPLE = (2, 6)


class Graph(torch.nn.Module):
    """What a graph computes: the outputs of the head, and the last hidden states of the body.

    A generating model has its logits only, without a cache; a model without a head, or one that
    sentence-transformers runs, its last hidden states only.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__()
        check_exportable(loaded.model)
        _check_size(loaded.model)
        is_sentence_encoder = (loaded.folder / "modules.json").is_file()
        model = loaded.model.base_model if is_sentence_encoder else loaded.model
        self.model: Any = model.float()
        self.inputs = _inputs(loaded.model, loaded.tokenizer.model_input_names)
        # Last, since the outputs are those of a run.
        self.outputs: list[str] = []
        self.outputs = list(self._run(self.example(*_EXAMPLE)))
        self.train(mode=False)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = self._run(tensors)
        return tuple(found[name] for name in self.outputs)

    def example(self, texts: int, length: int) -> tuple[Tensor, ...]:
        """Return inputs of tokens at random, of which all texts but the first are shorter."""
        generator = torch.Generator().manual_seed(texts * length)
        rows = int(self.model.get_input_embeddings().num_embeddings)
        ids = torch.randint(rows, (texts, length), generator=generator)
        mask = torch.ones_like(ids)
        mask[1:, length // 2 + 1 :] = 0
        return ids, mask, torch.zeros_like(ids)[:, :length]

    def _run(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        bodies: list[Any] = []
        body = self.model.base_model
        hook = body.register_forward_hook(lambda _m, _i, output: bodies.append(output))
        try:
            given = dict(zip(self.inputs, tensors, strict=False))
            result = self.model(**given, **_without_cache(self.model), return_dict=True)
        finally:
            hook.remove()
        found = {name: result[name] for name in _HEADS if name in result}
        if not self.model.can_generate():
            found[HIDDEN] = bodies[-1].last_hidden_state
        return found


_HEADS = ("logits", "start_logits", "end_logits")


def write_graph(graph: Graph, file: Path) -> None:
    """Trace the model into ``file``, both dimensions of its inputs left open."""
    axes = {name: {0: "batch", 1: "sequence"} for name in graph.inputs}
    axes |= {name: _open_axes(graph, i) for i, name in enumerate(graph.outputs)}
    with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            graph.example(*_EXAMPLE)[: len(graph.inputs)],
            file,
            input_names=graph.inputs,
            output_names=graph.outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def _open_axes(graph: Graph, output: int) -> dict[int, str]:
    """Return the dimensions of an output that follow those of the inputs."""
    with torch.inference_mode():
        shape = graph(*graph.example(*_EXAMPLE))[output].shape
    return {0: "batch", 1: "sequence"} if shape[1:2] == _EXAMPLE[1:] else {0: "batch"}


def check_exportable(model: PreTrainedModel) -> None:
    """Refuse a model that has no ONNX form here, whatever its size.

    Raises:
        ExportUnsupportedError: it is an encoder-decoder.

    """
    if model.config.is_encoder_decoder:
        raise ExportUnsupportedError(
            f"A {model.config.model_type} model has an encoder and a decoder, and is not exported "
            "to ONNX in this version: leave `export` out."
        )


def _check_size(model: PreTrainedModel) -> None:
    size = 4 * sum(parameter.numel() for parameter in model.parameters())
    if size >= _MOST_BYTES:
        raise ExportUnsupportedError(
            f"In float32 the model takes {size:,} bytes, and an ONNX file holds up to "
            f"{_MOST_BYTES:,}: leave `export` out, or ask for a smaller vocabulary."
        )


def _inputs(model: PreTrainedModel, tokenized: Sequence[str]) -> list[str]:
    """Return what a model reads; token types where its tokenizer tells the texts of a pair so."""
    names = ["input_ids", "attention_mask"]
    accepted = {*inspect.signature(model.forward).parameters} & {*tokenized}
    if "token_type_ids" in accepted and getattr(model.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")
    return names


def _without_cache(model: PreTrainedModel) -> dict[str, bool]:
    accepts = "use_cache" in inspect.signature(model.forward).parameters
    return {"use_cache": False} if accepts else {}
