"""List the tasks that models are scored on with labelled data, each with its metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.compression.evaluation.tasks.sequence_classification import (
    METRICS as CLASSIFICATION_METRICS,
)
from worker.compression.evaluation.tasks.sequence_classification import classification_scores
from worker.compression.evaluation.tasks.token_classification import METRICS as TAGGING_METRICS
from worker.compression.evaluation.tasks.token_classification import tagging_scores
from worker.compression.evaluation.tasks.vectors import (
    INDEX_METRICS,
    PAIR_METRICS,
    RETRIEVAL_METRICS,
    pair_scores,
    retrieval_scores,
)


@dataclass(frozen=True)
class TaskType:
    """Describes a type of task: ``score`` returns a figure for each of ``metrics``, in their order.

    One that is ``fine_tuned`` takes a loaded model, the train and the test part, a seed, a protocol
    and a progress; the others an encoder, in any runtime, their data and a progress. The figures of
    an index come with one alone.
    """

    metrics: tuple[str, ...]
    score: Callable[..., dict[str, float]]
    fine_tuned: bool


TASKS = {
    "sequence_classification": TaskType(
        tuple(CLASSIFICATION_METRICS), classification_scores, fine_tuned=True
    ),
    "token_classification": TaskType(tuple(TAGGING_METRICS), tagging_scores, fine_tuned=True),
    "retrieval": TaskType((*RETRIEVAL_METRICS, *INDEX_METRICS), retrieval_scores, fine_tuned=False),
    "sentence_pairs": TaskType(tuple(PAIR_METRICS), pair_scores, fine_tuned=False),
}
