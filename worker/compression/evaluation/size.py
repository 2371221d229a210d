"""Count the size of a model, in tokens, parameters and bytes."""

from app.contract.report import ModelSize
from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import vocabulary_tensors


def measure_size(loaded: LoadedModel) -> ModelSize:
    """Measure a loaded model, and the files of its folder.

    Embeddings are the input tables and the untied output tables.
    """
    tensors = vocabulary_tensors(loaded.model)
    tables = [*tensors.input_tables, *tensors.output_tables]
    return ModelSize(
        vocab_size=len(loaded.tokenizer),
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        embedding_parameters=sum(table.numel() for table in tables),
        bytes=sum(file.stat().st_size for file in loaded.folder.glob("*.safetensors")),
    )
