"""Compare a cross-encoder's scores with the base's: by their order on pairs made of the texts."""

from collections.abc import Sequence
from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from worker.compression.evaluation.intervals import Array, Draws, drawn_places, rowwise_correlation
from worker.compression.evaluation.metrics.metric import Compared, Metric, Sample
from worker.compression.models.encoder import Encoder, scores_of_pairs
from worker.compression.models.reading import make_pairs
from worker.compression.progress import Progress

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


def _agreement(sample: Sample, progress: Progress) -> Sequence[Compared | None]:
    pairs = make_pairs(sample.texts, _SEED)
    if len(pairs) < _FEWEST:
        return [None] * len(sample.others)
    _, scores = sample.run_all(pairs, scores_of_pairs, progress)
    before, *others = (torch.nan_to_num(one) for one in scores)
    return [
        Compared(
            *(1.0, score_agreement(before, after)),
            draws=_draws(before, after),
            items=len(before),
        )
        for after in others
    ]


def _draws(before: Tensor, after: Tensor) -> Draws | None:
    """Return the agreement on resamples of the pairs; the base agrees with itself on each."""
    places = drawn_places(len(before))
    if places is None:
        return None
    labels = [_correlations(before[:, i], after[:, i], places) for i in range(before.shape[1])]
    return Draws(np.ones(len(places)), np.mean(labels, axis=0))


def _correlations(before: Tensor, after: Tensor, places: NDArray[np.int64]) -> Array:
    """Return Spearman's correlation on each resample, by the same rules as on all pairs."""
    ranks = [rankdata(one.double().numpy()[places], axis=1) for one in (before, after)]
    is_flat = [np.ptp(one, axis=1) == 0 for one in ranks]
    correlations = rowwise_correlation(ranks[0], ranks[1])
    return np.where(is_flat[0] | is_flat[1], is_flat[0] & is_flat[1], correlations)


SCORE_AGREEMENT = Metric("score_agreement", _has_scores, _agreement)
