"""Running an ONNX file on texts, in place of the model it was made of."""

import copy
from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from worker.compression.evaluation.encoding import Encoder, Inputs
from worker.compression.export.onnx_graph import HIDDEN
from worker.compression.loading import LoadedModel


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
