"""The ONNX files of a model, in the folder where sentence-transformers and optimum look."""

import copy
import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from worker.compression.errors import ExportFailedError, ExportUnsupportedError
from worker.compression.models.encoder import Encoder, Inputs, longest_input
from worker.compression.models.loading import LoadedModel, load_model
from worker.compression.progress import Progress, silent
from worker.compression.runtimes.onnx_int8 import quantize

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


class OnnxEncoder(Encoder):
    """An ONNX file on the CPU, with as many threads as PyTorch has there.

    What the model is, it is told by its config; not its weights.
    """

    def __init__(self, loaded: LoadedModel, file: Path) -> None:
        super().__init__(loaded)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that spin after a run would slow down what is timed in turn with it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self._reads = {given.name for given in self._session.get_inputs()}
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, texts: Sequence[str]) -> Tensor:
        return self._run(self.inputs(texts), self._outputs[0])

    def run_whole(self, texts: Sequence[str]) -> Tensor:
        return self.run(texts)

    def logits(self, ids: Tensor) -> Tensor:
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return self._run(given, self._outputs[0])

    def last_hidden(self, inputs: Inputs) -> Tensor:
        return self._run(inputs, HIDDEN)

    def _run(self, inputs: Inputs, output: str) -> Tensor:
        given = {**inputs, "token_type_ids": torch.zeros_like(inputs["input_ids"])}
        arrays = {name: given[name].cpu().numpy() for name in self._reads}
        return torch.from_numpy(self._session.run([output], arrays)[0])


def on_cpu(loaded: LoadedModel) -> LoadedModel:
    """Return a model as it is, or a copy of it on the CPU, where ONNX files are run."""
    if loaded.model.device.type == "cpu":
        return loaded
    return LoadedModel(copy.deepcopy(loaded.model).cpu(), loaded.tokenizer, loaded.folder)


Array = NDArray[np.float32]

_SHAPES = ((1, 1), (1, 7), (5, 3), (2, 33))
"""Texts and tokens; a graph that has one of the numbers it was traced with built in fails one."""
_TOLERANCE = 1e-3


def check_same(file: Path, graph: Graph, longest: int) -> float:
    """Run file and model on several shapes up to the longest input; returns the largest difference.

    It is relative to the largest output.

    Raises:
        ExportFailedError: they differ.

    """
    worst = 0.0
    for inputs, outputs in _both(file, graph, longest):
        for name, (ours, theirs) in outputs.items():
            differs = _difference(ours, theirs)
            worst = max(worst, differs)
            if not differs <= _TOLERANCE:
                raise ExportFailedError(
                    f"The ONNX file is not the model: for inputs of {inputs} its {name} differ by "
                    f"{differs:.2g} of the largest. Leave `export` out, and tell us of the model."
                )
    return worst


def check_sound(file: Path, graph: Graph, longest: int) -> None:
    """Run a quantized file on several shapes.

    Raises:
        ExportFailedError: its outputs are not finite, or not of the model's shapes.

    """
    for inputs, outputs in _both(file, graph, longest):
        for name, (ours, theirs) in outputs.items():
            if ours.shape != theirs.shape or not np.isfinite(ours).all():
                raise ExportFailedError(
                    f"The int8 ONNX file is not sound: for inputs of {inputs} its {name} are not "
                    "finite numbers, or too few. Leave `export.int8` out, and tell us of the model."
                )


def _both(file: Path, graph: Graph, longest: int) -> Any:
    """Yield the shape of inputs with, by their names, the outputs of the file and of the model."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    shapes: Sequence[tuple[int, int]] = [(n, min(length, longest)) for n, length in _SHAPES]
    for texts, length in [*shapes, (1, min(longest, 512))]:
        tensors = graph.example(texts, length)[: len(graph.inputs)]
        with torch.inference_mode():
            theirs = [tensor.numpy() for tensor in graph(*tensors)]
        given = {name: t.numpy() for name, t in zip(graph.inputs, tensors, strict=True)}
        ours = session.run(graph.outputs, given)
        pairs = dict(zip(graph.outputs, zip(ours, theirs, strict=True), strict=True))
        yield f"{texts} x {length}", pairs


def _difference(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(theirs).max())))


FILES = {"onnx": "onnx/model.onnx", "onnx-int8": "onnx/model_int8.onnx"}


@dataclass(frozen=True)
class OnnxFile:
    """A file that was written: its path under the model's folder."""

    runtime: str
    path: str
    bytes: int


def export_onnx(
    folder: Path, into: Path, *, int8: bool = False, progress: Progress | None = None
) -> list[OnnxFile]:
    """Write the ONNX file of the model in ``folder`` under ``into``, and in int8 if asked.

    Raises:
        ExportUnsupportedError: models of this kind, or of this size, are not exported.
        ExportFailedError: a file does not do what the model does.

    """
    progress = progress or silent
    loaded = load_model(folder)
    longest = longest_input(loaded)
    graph = Graph(loaded)
    file, quantized = (into / FILES[runtime] for runtime in FILES)
    file.parent.mkdir(parents=True, exist_ok=True)
    progress(0.1, "tracing the model")
    write_graph(graph, file)
    progress(0.5, "checking the ONNX file against the model")
    check_same(file, graph, longest)
    if int8:
        progress(0.7, "quantizing to int8")
        quantize(file, quantized)
        check_sound(quantized, graph, longest)
    return onnx_files(into)


def onnx_files(folder: Path) -> list[OnnxFile]:
    """Return the ONNX files that lie under a model's folder."""
    return list(_found(folder))


def _found(folder: Path) -> Iterator[OnnxFile]:
    for runtime, path in FILES.items():
        if (folder / path).is_file():
            yield OnnxFile(runtime, path, (folder / path).stat().st_size)
