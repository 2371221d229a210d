"""Compare sentence vectors with the base's: by cosines, and by the nearest texts of each text."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from worker.compression.evaluation.intervals import per_text
from worker.compression.evaluation.metrics.metric import Compared, Metric, Sample, compared
from worker.compression.models.encoder import Encoder
from worker.compression.progress import Progress

_NEIGHBOURS = 10


def neighbour_overlap(before: Tensor, after: Tensor) -> float:
    """Return the mean share of each text's ten nearest texts that are so after as well.

    Both are sentence vectors (texts, width) of two or more texts; of fewer than eleven texts all
    others count as near.
    """
    return _shared(before, after).mean().item()


def _shared(before: Tensor, after: Tensor) -> Tensor:
    """Return the share of each text's nearest texts that are so after as well (texts)."""
    count = min(_NEIGHBOURS, len(before) - 1)
    near_before, near_after = _neighbours(before, count), _neighbours(after, count)
    # (texts, count, count): each near text before against each after.
    shared = (near_before.unsqueeze(2) == near_after.unsqueeze(1)).any(dim=2)
    return shared.float().mean(dim=1)


def _neighbours(vectors: Tensor, count: int) -> Tensor:
    """Return the places (texts, count) of the texts nearest to each, without itself."""
    unit = normalize(vectors)
    return (unit @ unit.T).fill_diagonal_(-2.0).topk(count).indices


def _has_vectors(encoder: Encoder) -> bool:
    return encoder.traits.has_vectors


def _agreement(sample: Sample, of_texts: list[Tensor]) -> list[Compared]:
    """Return figures that are means over the texts, of which the base has 1 in each."""
    texts = sample.texts_with_vectors
    ones = np.ones(len(texts))
    return [compared(per_text(texts, ones, one.double().numpy())) for one in of_texts]


def _cosine(sample: Sample, progress: Progress) -> Sequence[Compared]:
    before, *others = sample.vectors(progress)
    return _agreement(sample, [cosine_similarity(before, after) for after in others])


def _overlap(sample: Sample, progress: Progress) -> Sequence[Compared | None]:
    before, *others = sample.vectors(progress)
    if len(before) < 2:
        return [None] * len(others)
    return _agreement(sample, [_shared(before, after) for after in others])


# The base agrees with itself wholly: its figure is 1. The vectors are shared, so that the time is
# that of the first.
SENTENCE_COSINE = Metric("sentence_cosine", _has_vectors, _cosine, work=1.5)
NEIGHBOUR_OVERLAP = Metric("neighbour_overlap_10", _has_vectors, _overlap, work=0.0)
