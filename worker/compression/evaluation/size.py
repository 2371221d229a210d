"""The size of a model, in tokens, parameters and bytes."""

from pathlib import Path

from app.contract.report import ModelSize
from worker.compression.models.loading import load_model
from worker.compression.models.vocabulary_tensors import vocabulary_tensors


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
