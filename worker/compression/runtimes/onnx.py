"""Trace a model to ONNX, check the file and run it in ONNX Runtime on the CPU.

The files lie where sentence-transformers and optimum look for them.
"""

import inspect
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from app.contract.architectures import ARCHITECTURES
from worker.compression.errors import ExportFailedError, ExportUnsupportedError
from worker.compression.models.encoder import Encoder, Inputs
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import Pair, longest_input, padding_backend
from worker.compression.models.traits import model_traits
from worker.compression.runtimes.comparison import LONGEST, Run, check_same, difference
from worker.compression.runtimes.onnx_packing import pack
from worker.compression.runtimes.onnx_shapes import fix_reshapes, observe
from worker.compression.runtimes.runtime import Runtime, memory_probe

# LayerNormalization is one operator since 17; ONNX Runtime reads it since 1.12 (2022).
OPSET = 17
HIDDEN = "last_hidden_state"
# Protocol buffers, which ONNX files are, end here.
_MOST_BYTES = 2**31
# Texts and tokens of the inputs that a model is traced with.
_EXAMPLE = (2, 6)
# Subtracted from the score of what is padding. Its share of e^-50 is none in float32; a share of
# e^-88 or less would be a denormal number, which processors are ten times slower with.
_HIDDEN_BY = 50.0
# Of outputs, between two ways to compute a model in PyTorch.
_SAME = 1e-4
_HEADS = ("logits", "start_logits", "end_logits")


class Graph(torch.nn.Module):
    """Computes what a graph does: outputs of the head, and last hidden states of the body.

    A generating model has its logits only, without a cache; a model without a head, or one that
    sentence-transformers runs, its last hidden states only.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__()
        check_exportable(loaded)
        _check_size(loaded.model)
        is_sentence_encoder = model_traits(loaded).is_sentence_encoder
        model = loaded.model.base_model if is_sentence_encoder else loaded.model
        self.model: Any = model.float()
        self.inputs = _inputs(loaded.model, loaded.tokenizer.model_input_names)
        # Last, since the outputs are those of a run.
        self.outputs: list[str] = []
        self.outputs = list(self._run(self.example(*_EXAMPLE)))
        self.train(mode=False)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = self._run(tensors)
        return tuple(outputs[name] for name in self.outputs)

    def example(self, texts: int, length: int) -> tuple[Tensor, ...]:
        """Return ids, mask and token types (texts, length); all texts but the first are shorter."""
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
            inputs = self._as_given(dict(zip(self.inputs, tensors, strict=False)))
            result = self.model(**inputs, **_without_cache(self.model), return_dict=True)
        finally:
            hook.remove()
        outputs = {name: result[name] for name in _HEADS if name in result}
        if not self.model.can_generate():
            outputs[HIDDEN] = bodies[-1].last_hidden_state
        return outputs

    def _as_given(self, inputs: Inputs) -> Inputs:
        """Return the inputs that the model is called with."""
        return inputs


class PlainAttention(Graph):
    """Computes what a graph does, with the operators of attention and nothing around them.

    The model is given what is added to the scores, in place of a mask that it makes that of. An
    encoder that takes it so has a third fewer nodes, each of which takes its time with a short
    text. Others fail or compute something else.
    """

    def _run(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        before = self.model.config._attn_implementation
        self.model.set_attn_implementation("eager")
        try:
            return super()._run(tensors)
        finally:
            self.model.set_attn_implementation(before)

    def _as_given(self, inputs: Inputs) -> Inputs:
        mask = inputs["attention_mask"][:, None, None].to(self.model.dtype)
        return {**inputs, "attention_mask": (mask - 1) * _HIDDEN_BY}


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


def check_exportable(loaded: LoadedModel) -> None:
    """Refuse a model that has no ONNX form here, and so no other graph, whatever its size.

    Raises:
        ExportUnsupportedError: it is an encoder-decoder.

    """
    config = loaded.model.config
    if config.is_encoder_decoder:
        raise ExportUnsupportedError(
            f"A {config.model_type} model has an encoder and a decoder, and is not exported "
            "to ONNX or OpenVINO in this version: leave `export` out."
        )


def _check_size(model: PreTrainedModel) -> None:
    size = 4 * sum(parameter.numel() for parameter in model.parameters())
    if size >= _MOST_BYTES:
        raise ExportUnsupportedError(
            f"In float32 the model takes {size:,} bytes, and an ONNX file holds up to "
            f"{_MOST_BYTES:,}: leave `export` out, or ask for a smaller vocabulary."
        )


def _inputs(model: PreTrainedModel, tokenized: Sequence[str]) -> list[str]:
    """Return the names of a model's inputs; token types where its tokenizer uses them."""
    names = ["input_ids", "attention_mask"]
    accepted = {*inspect.signature(model.forward).parameters} & {*tokenized}
    if "token_type_ids" in accepted and getattr(model.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")
    return names


def _without_cache(model: PreTrainedModel) -> dict[str, bool]:
    accepts = "use_cache" in inspect.signature(model.forward).parameters
    return {"use_cache": False} if accepts else {}


class GraphEncoder(Encoder):
    """Runs an exported graph on the CPU: `compute` does, with another library.

    Of the loaded model it uses the config, the tokenizer and the pooling; not the weights.
    ``graph_inputs`` and ``graph_outputs`` are names. Texts go through the Rust tokenizer alone, as
    in a program that serves the file without transformers: of a short text's tokens that takes a
    third of the time.
    """

    graph_inputs: list[str]
    graph_outputs: list[str]

    @cached_property
    def _backend(self) -> Tokenizer:
        return padding_backend(self.tokenizer, self.max_length)

    def inputs(self, texts: Sequence[str]) -> Inputs:
        encodings = self._backend.encode_batch_fast(list(texts))
        ids, mask = [e.ids for e in encodings], [e.attention_mask for e in encodings]
        return {
            "input_ids": torch.tensor(ids, dtype=torch.int64),
            "attention_mask": torch.tensor(mask, dtype=torch.int64),
        }

    @abstractmethod
    def compute(self, arrays: dict[str, NDArray[np.int64]], output: str) -> NDArray[np.float32]:
        """Return one output of the graph for arrays (texts, longest text) by its inputs' names."""

    def run(self, texts: Sequence[str]) -> Tensor:
        return self._run(self.inputs(self._with_prompt(texts)), self.graph_outputs[0])

    def run_whole(self, texts: Sequence[str]) -> Tensor:
        return self.run(texts)

    def logits(self, ids: Tensor) -> Tensor:
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return self._run(inputs, self.graph_outputs[0])

    def scores(self, pairs: Sequence[Pair]) -> Tensor:
        return self._run(self.pair_inputs(pairs), "logits")

    def head_logits(self, inputs: Inputs) -> Tensor:
        return self._run(inputs, "logits")

    def last_hidden(self, inputs: Inputs) -> Tensor:
        return self._run(inputs, HIDDEN)

    def _run(self, inputs: Inputs, output: str) -> Tensor:
        inputs = {"token_type_ids": torch.zeros_like(inputs["input_ids"]), **inputs}
        arrays = {name: inputs[name].cpu().numpy() for name in self.graph_inputs}
        return torch.from_numpy(self.compute(arrays, output))


class OnnxEncoder(GraphEncoder):
    """Runs an ONNX file with as many threads as PyTorch has there."""

    def __init__(self, loaded: LoadedModel, file: Path) -> None:
        super().__init__(loaded)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that spin after a run would slow down what is timed in turn with it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self.graph_inputs = [node.name for node in self._session.get_inputs()]
        self.graph_outputs = [output.name for output in self._session.get_outputs()]

    def compute(self, arrays: dict[str, NDArray[np.int64]], output: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._session.run([output], arrays)[0]
        return found


def run_file(file: Path) -> Run:
    """Return what runs a file for a check."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda arrays: session.run(None, arrays)


def _check(loaded: LoadedModel, file: Path) -> None:
    check_same(ONNX.row, run_file(file), Graph(loaded), longest_input(loaded))


def _write(loaded: LoadedModel, file: Path) -> None:
    """Write an encoder without the padding where that can be, and every other model as it is."""
    if not _write_packed(loaded, file):
        write_graph(Graph(loaded), file)


def _write_packed(loaded: LoadedModel, file: Path) -> bool:
    """Write an encoder that leaves the padding out; returns whether the file is the model."""
    if ARCHITECTURES[loaded.model.config.model_type].kind != "encoder":
        return False
    write_graph(_plainest(loaded), file)
    model = onnx.load(file)
    observed = observe(model)
    fix_reshapes(model.graph, observed)
    if not pack(model.graph, observed):
        return False
    onnx.save(model, file)
    try:
        _check(loaded, file)
    except ExportFailedError:
        return False
    return True


def _plainest(loaded: LoadedModel) -> Graph:
    """Return the graph of plain attention where it computes what the model does."""
    graph, longest = Graph(loaded), min(LONGEST, longest_input(loaded))
    if {*(getattr(loaded.model.config, "layer_types", None) or ())} - {"full_attention"}:
        # A layer that sees its neighbours alone makes a mask of its own, which none may replace.
        return graph
    try:
        plain = PlainAttention(loaded)
        with torch.inference_mode():
            same = all(
                difference(found.numpy(), expected.numpy(), tensors[1].numpy()) < _SAME
                for tensors in (plain.example(3, 5), plain.example(1, longest))
                for found, expected in zip(plain(*tensors), graph(*tensors), strict=True)
            )
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return graph
    return plain if same else graph


ONNX = Runtime(
    "onnx",
    encoder=OnnxEncoder,
    write=_write,
    check=_check,
    check_model=check_exportable,
    probe=lambda file, folder: memory_probe("onnx", file, folder),
)
