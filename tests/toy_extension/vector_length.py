"""A metric: whether sentence vectors are as long as the base's."""

from collections.abc import Sequence

from worker.compression.evaluation.metrics import Metric, Sample
from worker.compression.evaluation.metrics.metric import BeforeAfter
from worker.compression.progress import Progress


def _measure(sample: Sample, progress: Progress) -> Sequence[BeforeAfter]:
    before, *others = (vectors.norm(dim=1) for vectors in sample.vectors(progress))
    ratios = [(after / before).clamp(max=1).mean().item() for after in others]
    return [(1.0, ratio) for ratio in ratios]


VECTOR_LENGTH = Metric("toy_vector_length", lambda encoder: not encoder.generates, _measure)
