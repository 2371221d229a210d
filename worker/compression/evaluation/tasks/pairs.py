"""Pairs of sentences with a grade of their likeness: rank correlation with the cosine."""

from collections.abc import Sequence

from scipy.stats import spearmanr
from torch.nn.functional import cosine_similarity

from worker.compression.errors import TaskDataError
from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.sentence_vectors import sentence_vectors
from worker.compression.progress import Progress, part, silent

Pair = tuple[str, str, float]
"""Two texts and how alike they are."""
_FEWEST = 3


def check_pairs(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that have no order.

    Raises:
        TaskDataError: there are too few pairs, or all have one grade.

    """
    grades = {grade for _, _, grade in pairs}
    if len(pairs) < _FEWEST or len(grades) == 1:
        raise TaskDataError(
            f"{len(pairs)} pairs with {len(grades)} different grades cannot be ranked: give "
            f"at least {_FEWEST} pairs, of different likeness."
        )


def pair_score(encoder: Encoder, pairs: Sequence[Pair], progress: Progress | None = None) -> float:
    """Return Spearman's correlation of grades and cosines, 0 where all cosines are the same."""
    check_pairs(pairs)
    progress = progress or silent
    first = sentence_vectors(encoder, [one for one, _, _ in pairs], part(progress, 0, 0.5))
    second = sentence_vectors(encoder, [other for _, other, _ in pairs], part(progress, 0.5, 1))
    cosines = cosine_similarity(first, second).tolist()
    if len(set(cosines)) == 1:
        return 0.0
    return float(spearmanr([grade for _, _, grade in pairs], cosines).statistic)
