"""A runtime: the input embeddings in half precision, a text's vector their mean."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worker.compression import ExportFailedError, LoadedModel
from worker.compression.models.encoder import Encoder, Inputs
from worker.compression.runtimes import Runtime

PROBE = Path(__file__).with_name("probe.py")


class TableEncoder(Encoder):
    """The table in place of the model."""

    def __init__(self, loaded: LoadedModel, file: Path) -> None:
        super().__init__(loaded)
        self._table = torch.from_numpy(np.load(file).astype(np.float32))

    def run(self, texts: list[str]) -> Tensor:  # type: ignore[override]
        return self.last_hidden(self.inputs(texts))

    def last_hidden(self, inputs: Inputs) -> Tensor:
        return self._table[inputs["input_ids"].cpu()]


def _embeddings(loaded: LoadedModel) -> Tensor:
    table: Tensor = loaded.model.get_input_embeddings().weight  # type: ignore[assignment]
    return table.detach().cpu()


def _write(loaded: LoadedModel, file: Path) -> None:
    table = _embeddings(loaded).numpy().astype(np.float16)
    np.save(file, table)
    file.with_suffix(".json").write_text(json.dumps({"rows": len(table)}))


def _check(loaded: LoadedModel, file: Path) -> None:
    if not np.allclose(np.load(file), _embeddings(loaded).numpy(), atol=1e-2):
        raise ExportFailedError("The table is not the model's.")


TABLE = Runtime(
    "toy-table",
    encoder=TableEncoder,
    write=_write,
    check=_check,
    probe=lambda file, folder: [PROBE, file, folder],
)
