"""Whether a model can be fine-tuned for a task at all."""

from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
)

from worker.compression.errors import TaskUnsupportedError
from worker.compression.loading import LoadedModel

_CLASSES = {
    "sequence_classification": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    "token_classification": MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
}
READS_END = ("t5", "mt5", "bart", "mbart")
"""Model types whose head for sequences reads the end token, of which a text must have one."""


def check_head(loaded: LoadedModel, task: str) -> None:
    """Refuse a task, one of the two that need a head, that a model has no class for.

    Raises:
        TaskUnsupportedError: transformers has none, or the one it has reads an end token that the
            tokenizer does not give.

    """
    config, name = loaded.model.config, task.replace("_", " ")
    if type(config) not in _CLASSES[task]:
        raise TaskUnsupportedError(
            f"transformers has no class for {name} with a {config.model_type}: choose another base "
            "model, or another task."
        )
    reads_end = config.model_type in READS_END and task == "sequence_classification"
    if reads_end and config.eos_token_id not in loaded.tokenizer("a")["input_ids"]:
        raise TaskUnsupportedError(
            f"The {name} of a {config.model_type} reads an end token, which the base tokenizer "
            "does not add to a text: choose another base model, or another task."
        )
