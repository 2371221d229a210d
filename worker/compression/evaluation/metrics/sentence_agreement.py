"""Compare sentence vectors with the base's: by cosines, and by the nearest texts of each text."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from worker.compression.evaluation.metrics.metric import BeforeAfter, Metric, Sample
from worker.compression.models.encoder import Encoder
from worker.compression.progress import Progress

_NEIGHBOURS = 10


def neighbour_overlap(before: Tensor, after: Tensor) -> float:
    """Return the mean share of each text's ten nearest texts that are so after as well.

    Both are sentence vectors (texts, width) of two or more texts; of fewer than eleven texts all
    others count as near.
    """
    count = min(_NEIGHBOURS, len(before) - 1)
    near_before, near_after = _neighbours(before, count), _neighbours(after, count)
    # (texts, count, count): each near text before against each after.
    shared = (near_before.unsqueeze(2) == near_after.unsqueeze(1)).any(dim=2)
    return shared.float().mean().item()


def _neighbours(vectors: Tensor, count: int) -> Tensor:
    """Return the places (texts, count) of the texts nearest to each, without itself."""
    unit = normalize(vectors)
    return (unit @ unit.T).fill_diagonal_(-2.0).topk(count).indices


def _has_vectors(encoder: Encoder) -> bool:
    return encoder.traits.has_vectors


def _cosine(sample: Sample, progress: Progress) -> Sequence[BeforeAfter]:
    before, *others = sample.vectors(progress)
    return [(1.0, cosine_similarity(before, after).mean().item()) for after in others]


def _overlap(sample: Sample, progress: Progress) -> Sequence[BeforeAfter | None]:
    before, *others = sample.vectors(progress)
    if len(before) < 2:
        return [None] * len(others)
    return [(1.0, neighbour_overlap(before, after)) for after in others]


# The base agrees with itself wholly: its figure is 1. The vectors are shared, so that the time is
# that of the first.
SENTENCE_COSINE = Metric("sentence_cosine", _has_vectors, _cosine, work=1.5)
NEIGHBOUR_OVERLAP = Metric("neighbour_overlap_10", _has_vectors, _overlap, work=0.0)
