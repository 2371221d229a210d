"""List the label-free metrics in the order of the report's rows: an entry a metric."""

from app.contract.names import METRICS as NAMES
from worker.compression.evaluation.metrics.language_modeling import CAUSAL_LM, DENOISING
from worker.compression.evaluation.metrics.masked_lm import MASKED_LM
from worker.compression.evaluation.metrics.metric import Metric, Sample
from worker.compression.evaluation.metrics.score_agreement import SCORE_AGREEMENT
from worker.compression.evaluation.metrics.sentence_agreement import (
    INDEX_OVERLAP,
    NEIGHBOUR_OVERLAP,
    SENTENCE_COSINE,
)

METRICS = {
    metric.name: metric
    for metric in (
        *(SENTENCE_COSINE, NEIGHBOUR_OVERLAP, INDEX_OVERLAP, SCORE_AGREEMENT),
        *(MASKED_LM, CAUSAL_LM, DENOISING),
    )
}


def register_metric(metric: Metric) -> None:
    """Add a metric of an extension, whose row is in ``app.contract.names``.

    Raises:
        ValueError: there is no such row, or another metric has the name.

    """
    if metric.name not in NAMES:
        raise ValueError(f"{metric.name!r} has no row in app.contract.names.METRICS")
    if METRICS.setdefault(metric.name, metric) is not metric:
        raise ValueError(f"the name {metric.name!r} is taken")


__all__ = ["METRICS", "Metric", "Sample", "register_metric"]
