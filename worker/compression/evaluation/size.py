"""The size of a model, in tokens, parameters and bytes."""

from dataclasses import dataclass
from pathlib import Path

from worker.compression.models.loading import load_model
from worker.compression.models.vocabulary_tensors import vocabulary_tensors


@dataclass(frozen=True)
class ModelSize:
    """Parameters count each tied tensor once; ``bytes`` is the size of the safetensors files."""

    vocab_size: int
    parameters: int
    embedding_parameters: int
    bytes: int


def measure_size(folder: Path) -> ModelSize:
    """Measure a saved model; embeddings are the input tables and the untied output tables."""
    loaded = load_model(folder)
    found = vocabulary_tensors(loaded.model)
    tables = [*found.input_tables, *found.output_tables]
    return ModelSize(
        vocab_size=len(loaded.tokenizer),
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        embedding_parameters=sum(table.numel() for table in tables),
        bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
    )
