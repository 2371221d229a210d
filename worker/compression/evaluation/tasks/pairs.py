"""Pairs of sentences with a grade of their likeness: rank correlation with the cosine."""

from collections.abc import Sequence

from scipy.stats import spearmanr
from torch.nn.functional import cosine_similarity

from worker.compression.errors import TaskDataError
from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.quality import sentence_vectors
from worker.compression.progress import Progress, part, silent

Pair = tuple[str, str, float]
"""Two texts and how alike they are."""
_FEWEST = 3


def pair_score(encoder: Encoder, pairs: Sequence[Pair], progress: Progress | None = None) -> float:
    """Return Spearman's correlation of grades and cosines.

    Raises:
        TaskDataError: there are too few pairs, or all have one grade.

    """
    progress = progress or silent
    grades = [grade for _, _, grade in pairs]
    if len(pairs) < _FEWEST or len(set(grades)) == 1:
        raise TaskDataError(
            f"{len(pairs)} pairs with {len(set(grades))} different grades cannot be ranked: give "
            f"at least {_FEWEST} pairs, of different likeness."
        )
    first = sentence_vectors(encoder, [one for one, _, _ in pairs], part(progress, 0, 0.5))
    second = sentence_vectors(encoder, [other for _, other, _ in pairs], part(progress, 0.5, 1))
    return float(spearmanr(grades, cosine_similarity(first, second).tolist()).statistic)
