"""Compare a cross-encoder's scores with the base's: by their order on pairs made of the texts."""

from collections.abc import Sequence
from statistics import mean

import torch
from scipy.stats import spearmanr
from torch import Tensor

from worker.compression.evaluation.metrics.metric import BeforeAfter, Metric, Sample
from worker.compression.models.encoder import Encoder, scores_of_pairs
from worker.compression.models.reading import make_pairs
from worker.compression.progress import Progress, part

_SEED = 0
# Of two pairs every order is perfect.
_FEWEST = 3


def score_agreement(before: Tensor, after: Tensor) -> float:
    """Return Spearman's correlation of scores (pairs, labels), the mean over the labels.

    Where all scores of a label are one, there is no order: 1 where this is so on both sides,
    else 0.
    """
    return mean(_correlation(before[:, label], after[:, label]) for label in range(before.shape[1]))


def _correlation(before: Tensor, after: Tensor) -> float:
    is_flat = [bool((scores == scores[0]).all()) for scores in (before, after)]
    if any(is_flat):
        return float(all(is_flat))
    return float(spearmanr(before.numpy(), after.numpy()).statistic)


def _has_scores(encoder: Encoder) -> bool:
    return encoder.traits.is_cross_encoder


def _agreement(sample: Sample, progress: Progress) -> Sequence[BeforeAfter | None]:
    pairs = make_pairs(sample.texts, _SEED)
    if len(pairs) < _FEWEST:
        return [None] * len(sample.others)
    encoders = [sample.base, *sample.others]
    scores = [
        scores_of_pairs(encoder, pairs, part(progress, n / len(encoders), (n + 1) / len(encoders)))
        for n, encoder in enumerate(encoders)
    ]
    before, *others = (torch.nan_to_num(one) for one in scores)
    return [(1.0, score_agreement(before, after)) for after in others]


SCORE_AGREEMENT = Metric("score_agreement", _has_scores, _agreement)
