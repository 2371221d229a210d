"""Score sentence vectors without training: on retrieval, and on pairs graded for likeness."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
import pytrec_eval
import torch
from scipy.stats import pearsonr, rankdata, spearmanr
from torch.nn.functional import cosine_similarity, normalize

from worker.compression.errors import TaskDataError
from worker.compression.evaluation.intervals import (
    Array,
    drawn_places,
    resamples,
    rowwise_correlation,
)
from worker.compression.evaluation.tasks.scores import Figures
from worker.compression.models.encoder import (
    Encoder,
    SentenceEncoder,
    scores_of_pairs,
    sentence_vectors,
)
from worker.compression.progress import Progress, part, silent

# Documents of a ranking.
_RETURNED = 100
# Queries against all documents: their scores are held at once.
_AT_ONCE = 64

Texts = Mapping[str, str]
# The grades of documents by their ids, by the query's id.
Judgements = Mapping[str, Mapping[str, int]]

# The measures of trec_eval by metric, as it is asked for them and as it calls them.
Measures = Mapping[str, tuple[str, str]]
RETRIEVAL_METRICS: Measures = {
    "ndcg_at_10": ("ndcg_cut.10", "ndcg_cut_10"),
    "recall_at_10": ("recall.10", "recall_10"),
    "mrr": ("recip_rank", "recip_rank"),
}
# The same of queries against the base's vectors of the documents.
INDEX_METRICS: Measures = {f"index_{name}": found for name, found in RETRIEVAL_METRICS.items()}


@dataclass
class Index:
    """Holds the base's vectors of the documents (documents, width), each of length 1.

    It is empty until the base is scored with it; the models that follow are searched in it.
    """

    vectors: torch.Tensor | None = None


def check_judgements(documents: Texts, queries: Texts, judgements: Judgements) -> None:
    """Refuse judgements that no ranking could be scored by.

    Raises:
        TaskDataError: they name a query or a document that is not there, or nothing is relevant.

    """
    named = {document for grades in judgements.values() for document in grades}
    for kind, ids, texts in (
        ("queries", judgements.keys(), queries),
        ("documents", named, documents),
    ):
        if unknown := sorted(set(ids) - texts.keys()):
            raise TaskDataError(
                f"The judgements name {len(unknown)} {kind} that are not given, such as "
                f"{unknown[0][:80]!r}: give them, or leave their judgements out."
            )
    if not any(grade > 0 for grades in judgements.values() for grade in grades.values()):
        raise TaskDataError("No document is relevant to any query: give judgements above 0.")


def retrieval_scores(  # noqa: PLR0913
    encoder: SentenceEncoder,
    documents: Texts,
    queries: Texts,
    judgements: Judgements,
    progress: Progress | None = None,
    *,
    index: Index | None = None,
) -> Figures:
    """Return nDCG@10, recall@10 and MRR, means over the queries that have a relevant document.

    A ranking has 100 documents: the reciprocal rank of a first relevant one behind them is 0.
    Queries and documents are read with the model's own prompts for them.

    With ``index`` the same figures follow of the queries against the base's documents. An index
    that is empty is filled with this model's, and its figures are then those of its own ranking.
    Where the index has vectors of another width, there are no such figures.
    """
    check_judgements(documents, queries, judgements)
    progress = progress or silent
    judged = {q: dict(grades) for q, grades in judgements.items() if max(grades.values()) > 0}
    asking, answering = _prompted(encoder, "query"), _prompted(encoder, "document", "passage")
    rows = _unit(asking, [queries[query] for query in judged], part(progress, 0, 0.2))
    columns = _unit(answering, list(documents.values()), part(progress, 0.2, 0.9))
    found = _evaluated(rows, columns, list(documents), judged, part(progress, 0.9, 0.95))
    figures = _figures(found, RETRIEVAL_METRICS)
    if index is None:
        return figures
    if index.vectors is None:
        index.vectors = columns
    if index.vectors.shape != columns.shape:
        return figures
    if index.vectors is not columns:
        own = part(progress, 0.95, 1)
        found = _evaluated(rows, index.vectors, list(documents), judged, own)
    of_index = _figures(found, INDEX_METRICS)
    return Figures(figures | of_index, figures.draws | of_index.draws, figures.count)


def _evaluated(
    rows: torch.Tensor,
    columns: torch.Tensor,
    ids: Sequence[str],
    judged: Mapping[str, dict[str, int]],
    progress: Progress,
) -> list[dict[str, float]]:
    """Return trec_eval's measures of each query's ranking; rows and columns have length 1."""
    run, names = dict[str, dict[str, float]](), list(judged)
    for start in range(0, len(names), _AT_ONCE):
        progress(start / len(names), f"{start} of {len(names)} queries ranked")
        # (queries, documents): the cosines.
        cosines = rows[start : start + _AT_ONCE] @ columns.T
        best = cosines.topk(min(_RETURNED, len(ids)))
        ranked = zip(
            names[start : start + _AT_ONCE],
            best.indices.tolist(),
            best.values.tolist(),
            strict=True,
        )
        for query, places, values in ranked:
            run[query] = {ids[place]: value for place, value in zip(places, values, strict=True)}
    measures = {measure for measure, _ in RETRIEVAL_METRICS.values()}
    return list(pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(run).values())


def _figures(scores: Sequence[Mapping[str, float]], metrics: Measures) -> Figures:
    """Return means over the queries, with what they come to on resamples of these."""
    by_query = {
        metric: np.array([query[key] for query in scores]) for metric, (_, key) in metrics.items()
    }
    counts = resamples(len(scores))
    return Figures(
        {metric: mean(values.tolist()) for metric, values in by_query.items()},
        {}
        if counts is None
        else {metric: counts @ values / len(scores) for metric, values in by_query.items()},
        len(scores),
    )


def _prompted(encoder: SentenceEncoder, *names: str) -> SentenceEncoder:
    """Return the encoder with the first prompt that its model has of some names."""
    if not isinstance(encoder, Encoder) or not encoder.kind.prompts:
        return encoder
    return encoder.with_prompt(encoder.kind.prompt_for(*names))


def _unit(encoder: SentenceEncoder, texts: Sequence[str], progress: Progress) -> torch.Tensor:
    return normalize(sentence_vectors(encoder, texts, progress))


# Two texts and how alike they are.
Pair = tuple[str, str, float]
# Two pairs always correlate, one way or the other.
_FEWEST = 3


def _spearman(grades: Sequence[float], cosines: Sequence[float]) -> float:
    return float(spearmanr(grades, cosines).statistic)


def _pearson(grades: Sequence[float], cosines: Sequence[float]) -> float:
    # Grades may be as large as numbers are, and their sum would be infinite.
    largest = max(map(abs, grades))
    statistic = float(pearsonr([grade / largest for grade in grades], cosines).statistic)
    return statistic if math.isfinite(statistic) else 0.0


PAIR_METRICS = {"spearman": _spearman, "pearson": _pearson}


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


def pair_scores(
    encoder: SentenceEncoder, pairs: Sequence[Pair], progress: Progress | None = None
) -> Figures:
    """Return correlations of grades and cosines, 0 where all cosines are the same.

    A cross-encoder's scores of the pairs stand in place of cosines.
    """
    check_pairs(pairs)
    progress = progress or silent
    is_cross_encoder = isinstance(encoder, Encoder) and encoder.traits.is_cross_encoder
    likeness = (_scores if is_cross_encoder else _cosines)(encoder, pairs, progress)
    if len(set(likeness)) == 1:
        return Figures(dict.fromkeys(PAIR_METRICS, 0.0), count=len(pairs))
    grades = [grade for _, _, grade in pairs]
    return Figures(
        {name: metric(grades, likeness) for name, metric in PAIR_METRICS.items()},
        _correlations(grades, likeness),
        len(pairs),
    )


def _correlations(grades: Sequence[float], likeness: Sequence[float]) -> dict[str, Array]:
    """Return both correlations on resamples of the pairs, NaN where there is no order."""
    places = drawn_places(len(grades))
    if places is None:
        return {}
    first, second = (np.array(one, dtype=np.float64)[places] for one in (grades, likeness))
    first /= np.abs(first).max()
    return {
        "spearman": rowwise_correlation(rankdata(first, axis=1), rankdata(second, axis=1)),
        "pearson": rowwise_correlation(first, second),
    }


def _scores(encoder: Any, pairs: Sequence[Pair], progress: Progress) -> list[float]:
    scores = scores_of_pairs(encoder, [(one, other) for one, other, _ in pairs], progress)
    return [float(score) for score in scores[:, 0]]


def _cosines(encoder: Any, pairs: Sequence[Pair], progress: Progress) -> list[float]:
    first = sentence_vectors(encoder, [one for one, _, _ in pairs], part(progress, 0, 0.5))
    second = sentence_vectors(encoder, [other for _, other, _ in pairs], part(progress, 0.5, 1))
    cosines: list[float] = cosine_similarity(first, second).tolist()
    return cosines
