"""Sequence classification: fine-tuned, then macro-F1 on the test part."""

from collections.abc import Sequence

import torch
from sklearn.metrics import f1_score
from transformers import AutoModelForSequenceClassification

from worker.compression.errors import TaskDataError
from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.tasks.finetuning import Batch, Protocol, fine_tune
from worker.compression.loading import LoadedModel
from worker.compression.progress import Progress, part, silent

Labelled = tuple[str, str]
"""A text and its label."""


def check_labels(train: Sequence[Labelled], test: Sequence[Labelled]) -> list[str]:
    """Return the labels in order.

    Raises:
        TaskDataError: a part is empty, has one label only, or has a label that the other lacks.

    """
    parts = {"train": {label for _, label in train}, "test": {label for _, label in test}}
    for name, labels in parts.items():
        if len(labels) < 2:
            raise TaskDataError(
                f"The {name} part has {len(labels)} different labels: give examples of two or more."
            )
    if unseen := sorted(parts["test"] - parts["train"]):
        raise TaskDataError(
            f"The label {unseen[0]!r} of the test part is not in the train part: add examples "
            "of it, or leave it out."
        )
    return sorted(parts["train"])


def classification_score(  # noqa: PLR0913
    loaded: LoadedModel,
    train: Sequence[Labelled],
    test: Sequence[Labelled],
    *,
    seed: int = 0,
    protocol: Protocol = Protocol(),  # noqa: B008
    progress: Progress | None = None,
) -> float:
    """Return macro-F1 on ``test`` of the model fine-tuned on ``train``, with a new head."""
    labels, progress = check_labels(train, test), progress or silent
    encoder = Encoder(loaded)

    def collate(examples: Sequence[Labelled]) -> Batch:
        numbers = torch.tensor([labels.index(label) for _, label in examples])
        return {**_inputs(encoder, examples, protocol), "labels": numbers}

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(
            loaded.folder, num_labels=len(labels), dtype=torch.float32, local_files_only=True
        ).to(loaded.model.device)
        model.config.pad_token_id = encoder.tokenizer.pad_token_id
        fine_tune(model, train, collate, protocol, seed, part(progress, 0, 0.9))
    predicted = list[str]()
    for start in range(0, len(test), protocol.batch_size):
        batch = test[start : start + protocol.batch_size]
        with torch.inference_mode():
            logits = model(**_inputs(encoder, batch, protocol)).logits
        predicted += [labels[place] for place in logits.argmax(dim=-1).tolist()]
    return float(f1_score([label for _, label in test], predicted, average="macro"))


def _inputs(encoder: Encoder, examples: Sequence[Labelled], protocol: Protocol) -> Batch:
    encoder.max_length = min(encoder.max_length, protocol.max_length)
    return encoder.inputs([text for text, _ in examples])
