"""Compare sentence vectors with the base's: by cosines, and by the nearest texts of each text.

The nearest texts are those of one model's own vectors, or those that the base's vectors hold near
a text that the other model reads: what a vector database of the base's vectors would return.
"""

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
    return _shared(before, after, after).mean().item()


def index_overlap(before: Tensor, after: Tensor) -> float:
    """Return the mean share of each text's ten nearest texts that it finds in the base's index.

    The index are the vectors before (texts, width), of two or more texts; those after, as wide,
    are the queries. A text is not among its own nearest.
    """
    return _shared(before, after, before).mean().item()


def _shared(before: Tensor, queries: Tensor, index: Tensor) -> Tensor:
    """Return the share of each text's nearest texts before that its query finds (texts)."""
    count = min(_NEIGHBOURS, len(before) - 1)
    near, found = _neighbours(before, before, count), _neighbours(queries, index, count)
    # (texts, count, count): each near text against each that is found.
    shared = (near.unsqueeze(2) == found.unsqueeze(1)).any(dim=2)
    return shared.float().mean(dim=1)


def _neighbours(queries: Tensor, index: Tensor, count: int) -> Tensor:
    """Return the places (texts, count) in the index nearest to each text, without itself."""
    cosines = normalize(queries) @ normalize(index).T
    return cosines.fill_diagonal_(-2.0).topk(count).indices


def _has_vectors(encoder: Encoder) -> bool:
    return encoder.traits.has_vectors


def _is_sentence_encoder(encoder: Encoder) -> bool:
    return encoder.traits.is_sentence_encoder


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
    return _agreement(sample, [_shared(before, after, after) for after in others])


def _index_overlap(sample: Sample, progress: Progress) -> Sequence[Compared | None]:
    before, *others = sample.vectors(progress)
    # Vectors of another width cannot be looked up in the base's index.
    if len(before) < 2 or any(after.shape != before.shape for after in others):
        return [None] * len(others)
    return _agreement(sample, [_shared(before, after, before) for after in others])


# The base agrees with itself wholly: its figure is 1. The vectors are shared, so that the time is
# that of the first.
SENTENCE_COSINE = Metric("sentence_cosine", _has_vectors, _cosine, work=1.5)
NEIGHBOUR_OVERLAP = Metric("neighbour_overlap_10", _has_vectors, _overlap, work=0.0)
INDEX_OVERLAP = Metric("index_overlap_10", _is_sentence_encoder, _index_overlap, work=0.0)
