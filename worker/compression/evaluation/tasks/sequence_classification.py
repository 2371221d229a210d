"""Score sequence classification: fine-tune, then macro-F1 and accuracy on the test part."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForSequenceClassification

from worker.compression.errors import TaskDataError
from worker.compression.evaluation.intervals import Array, resamples
from worker.compression.evaluation.tasks.fine_tuning import (
    Batch,
    FineTuned,
    FineTuningConfig,
    Logits,
    fine_tune,
    fine_tuned_scores,
    label_all,
    new_head,
    reads_end,
)
from worker.compression.evaluation.tasks.scores import Figures
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, silent

# A text and its label.
Labelled = tuple[str, str]
# More labels than this are taken for texts: a head for them would not fit in memory.
_MOST_LABELS = 10_000


def _macro_f1(labels: Sequence[str], predicted: Sequence[str]) -> float:
    return float(f1_score(labels, predicted, average="macro"))


def _accuracy(labels: Sequence[str], predicted: Sequence[str]) -> float:
    return float(accuracy_score(labels, predicted))


METRICS = {"macro_f1": _macro_f1, "accuracy": _accuracy}


def check_labels(train: Sequence[Labelled], test: Sequence[Labelled]) -> list[str]:
    """Return the labels in order.

    Raises:
        TaskDataError: a part is empty or has one label only, the test part has a label that the
            train part lacks, or there are more labels than a head is made for.

    """
    parts = {"train": {label for _, label in train}, "test": {label for _, label in test}}
    for name, labels in parts.items():
        if len(labels) < 2:
            raise TaskDataError(
                f"The {name} part has {len(labels)} different labels: give examples of two or more."
            )
    if unseen := sorted(parts["test"] - parts["train"]):
        raise TaskDataError(
            f"The label {unseen[0][:80]!r} of the test part is not in the train part: add examples "
            "of it, or leave it out."
        )
    if len(parts["train"]) > _MOST_LABELS:
        raise TaskDataError(
            f"The train part has {len(parts['train']):,} different labels, of which there may be "
            f"{_MOST_LABELS:,}: name the field that holds a label, not a text."
        )
    return sorted(parts["train"])


def fine_tuned_classifier(  # noqa: PLR0913
    loaded: LoadedModel,
    train: Sequence[Labelled],
    test: Sequence[Labelled],
    *,
    seed: int = 0,
    protocol: FineTuningConfig = FineTuningConfig(),  # noqa: B008
    progress: Progress | None = None,
) -> FineTuned:
    """Return the model fine-tuned on ``train``, with a new head, to be scored on ``test``.

    Raises:
        OutOfMemoryError: a batch of the protocol does not fit in memory.

    """
    labels = check_labels(train, test)
    numbers = {label: number for number, label in enumerate(labels)}
    encoder = Encoder(loaded)
    encoder.max_length = min(encoder.max_length, protocol.max_length)

    def inputs(examples: Sequence[Labelled]) -> Batch:
        return _with_one_end(encoder, encoder.inputs([text for text, _ in examples]))

    def collate(examples: Sequence[Labelled]) -> Batch:
        targets = torch.tensor([numbers[label] for _, label in examples])  # (examples,)
        return {**inputs(examples), "labels": targets}

    def score(logits: Logits, own: Progress) -> Figures:
        def predict(examples: Sequence[Labelled]) -> list[str]:
            return [labels[place] for place in logits(inputs(examples)).argmax(-1).tolist()]

        predicted = label_all(test, predict, protocol, own)
        expected = [label for _, label in test]
        return Figures(
            {name: metric(expected, predicted) for name, metric in METRICS.items()},
            _draws(expected, predicted),
            len(expected),
        )

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = new_head(
            AutoModelForSequenceClassification,
            loaded,
            len(labels),
            problem_type="single_label_classification",
        )
        model.config.pad_token_id = encoder.tokenizer.pad_token_id
        fine_tune(model, train, collate, protocol, seed, progress or silent)
    return FineTuned(model, loaded.tokenizer, score)


classification_scores = partial(fine_tuned_scores, fine_tuned_classifier)
"""Return the metrics of a model that is fine-tuned so: `fine_tuned_scores`."""


def _draws(expected: Sequence[str], predicted: Sequence[str]) -> dict[str, Array]:
    """Return both metrics on resamples of the texts, as scikit-learn computes them."""
    counts = resamples(len(expected))
    if counts is None:
        return {}
    columns = {label: i for i, label in enumerate(sorted({*expected, *predicted}))}

    def marks(labels: Sequence[str], of: Array) -> csr_matrix:
        places = [columns[label] for label in labels], list(range(len(labels)))
        return csr_matrix((of, places), shape=(len(columns), len(labels)))

    right = np.array([a == b for a, b in zip(expected, predicted, strict=True)], dtype=np.float64)
    ones = np.ones(len(right))
    # (labels, resamples)
    true_positives = marks(expected, right) @ counts.T
    both = marks(expected, ones) @ counts.T + marks(predicted, ones) @ counts.T
    f1 = 2 * true_positives / np.maximum(both, 1)
    return {
        "macro_f1": f1.sum(axis=0) / (both > 0).sum(axis=0),
        "accuracy": counts @ right / len(right),
    }


def _with_one_end(encoder: Encoder, inputs: Batch) -> Batch:
    """Mend texts that spell out the end token, where the head reads the place of the only one."""
    config, ids = encoder.model.config, inputs["input_ids"]
    if not reads_end(config.model_type):
        return inputs
    ends = ids == config.eos_token_id
    spelled = ends & (ends.cumsum(dim=1) < ends.sum(dim=1, keepdim=True))
    return {**inputs, "input_ids": ids.masked_fill(spelled, config.pad_token_id)}
